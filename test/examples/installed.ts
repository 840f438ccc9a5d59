import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { npmInstall } from '../../tools/npm-install.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

/** The names of the engines in examples/, without `robust-engine-`. */
export async function exampleEngines(): Promise<string[]> {
  const folders = await readdir(join(ROOT, 'examples'));
  return folders.filter((name) => name.startsWith('robust-engine-')).map((name) => name.slice('robust-engine-'.length));
}

/** Packs the server and these engines, and installs them into an empty folder below `home`, as a user would. @returns that folder */
export async function installAll(home: string, engines: readonly string[]): Promise<string> {
  const tarballs = join(home, 'tarballs');
  const user = join(home, 'user');
  await run('node', ['tools/pack.mjs', tarballs], { cwd: ROOT });
  for (const name of engines) await packExample(name, join(home, name), tarballs);
  await mkdir(user);
  await writeFile(join(user, 'package.json'), '{ "private": true, "type": "module" }');
  const wanted = (await readdir(tarballs)).filter((name) => !/create-robust|conformance/.test(name));
  const files = wanted.map((name) => join(tarballs, name));
  npmInstall(user, process.env, files);
  return user;
}

/** What `npm pack` does there, without its tests and without leaving a build in the repository. */
async function packExample(name: string, stage: string, tarballs: string): Promise<void> {
  const folder = join(ROOT, 'examples', `robust-engine-${name}`);
  await mkdir(stage);
  for (const file of ['package.json', 'README.md', 'LICENSE']) await cp(join(folder, file), join(stage, file));
  await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json', '--outDir', join(stage, 'dist')], {
    cwd: folder,
  });
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', tarballs], { cwd: stage });
}
