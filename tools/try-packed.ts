// Uses the packed packages as strangers would: node tools/try-packed.ts DIRECTORY_OF_TARBALLS [MAJOR...]. For each Node an empty folder
// outside the workspace, the tarballs installed with npm, and the programs of test/packed/user run there, in JavaScript and TypeScript.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { npmInstall } from './npm-install.ts';
import { tryAsAuthor } from './try-author.ts';

interface Step {
  readonly promise: string;
  readonly commands: readonly (readonly string[])[];
}

const ROOT = join(import.meta.dirname, '..');
const [directory = 'packed', ...majors] = process.argv.slice(2);
const tarballs = resolve(directory);
const files = readdirSync(tarballs).filter((name) => name.endsWith('.tgz'));
if (files.length === 0) throw new Error(`no tarballs in ${tarballs}: run npm run pack first`);
// our own manifest
const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly devDependencies: Readonly<Record<string, string>>;
};

/** What a careful user has. */
const TSCONFIG = {
  compilerOptions: {
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'nodenext',
    moduleResolution: 'nodenext',
    target: 'es2023',
    types: ['node'],
    declaration: true,
    outDir: 'dist',
  },
  include: ['*.ts'],
};

let failures = 0;
const wanted = majors.length > 0 ? majors : ['22', '24'];
for (const major of wanted) failures += tryOn(major);
process.exitCode = failures === 0 ? 0 : 1;

function tryOn(major: string): number {
  const home = mkdtempSync(join(tmpdir(), `robust-packed-${major}-`));
  try {
    const user = join(home, 'user');
    const env = { ...process.env, PATH: `${dirname(nodeOf(major, home))}${delimiter}${process.env.PATH}` };
    const began = performance.now();
    install(user, env);
    const results = [
      ...steps(user).map((step) => succeeds(step, user, env)),
      // once: it takes as long as all the rest
      ...(major === wanted.at(-1) ? tryAsAuthor({ folder: join(home, 'author'), tarballs, env }) : []),
    ];
    const failed = results.filter((result) => !result).length;
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`packed on Node ${major}: passed ${results.length - failed}, ${seconds} s, failed ${failed}`);
    return failed;
  } finally {
    rmSync(home, { recursive: true, maxRetries: 3 });
  }
}

/** The Node that runs this when it is the right one, and npm's otherwise. */
function nodeOf(major: string, home: string): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const folder = join(home, 'node');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  npmInstall(folder, process.env, [`node@${major}`]);
  return join(folder, 'node_modules/node/bin/node');
}

function install(user: string, env: NodeJS.ProcessEnv): void {
  cpSync(join(ROOT, 'test/packed/user'), user, { recursive: true });
  writeFileSync(join(user, 'package.json'), '{ "private": true, "type": "module" }');
  writeFileSync(join(user, 'entries.ts'), everyEntry());
  writeFileSync(join(user, 'tsconfig.json'), JSON.stringify(TSCONFIG, undefined, 2));
  const tools = ['typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`);
  console.log(`\ninstalling ${files.length} packages into an empty folder`);
  npmInstall(user, env, [...files.map((name) => join(tarballs, name)), ...tools, 'typescript-5@npm:typescript@5.9']);
  mkdirSync(join(user, 'node_modules/robust-engine-third'));
  writeFileSync(
    join(user, 'node_modules/robust-engine-third/package.json'),
    '{ "name": "robust-engine-third", "version": "1.0.0", "type": "module", "exports": "./engine.js" }',
  );
}

/** A module whose types are those of all entries of all packages. */
function everyEntry(): string {
  return files
    .map((file) => execFileSync('tar', ['xzOf', join(tarballs, file), 'package/package.json'], { encoding: 'utf8' }))
    .map((text) => JSON.parse(text) as { readonly name: string; readonly exports?: Readonly<Record<string, unknown>> })
    .flatMap(({ name, exports = {} }) => Object.keys(exports).map((key) => `${name}${key.slice(1)}`))
    .filter((specifier) => !specifier.endsWith('/package.json'))
    .map((specifier, i) => `export type * as e${i} from '${specifier}';\n`)
    .join('');
}

function steps(user: string): readonly Step[] {
  const third = join(user, 'node_modules/robust-engine-third');
  return [
    { promise: 'every entry can be imported, and nothing else', commands: [['node', 'entries.mjs']] },
    {
      promise: 'the types of every entry hold with strict, nodenext and skipLibCheck false, in TypeScript 7 and 5.9',
      commands: [
        ['node', 'node_modules/typescript-5/bin/tsc', '-p', '.', '--noEmit'],
        ['node', 'node_modules/typescript/bin/tsc', '-p', '.'],
      ],
    },
    { promise: 'a program in TypeScript runs a node and the suite', commands: [['node', 'dist/use.js']] },
    { promise: 'the suite passes a packed engine under node:test', commands: [['node', '--test', 'suite.mjs']] },
    {
      promise: 'the server starts, and keeps topics on its own engine and on one written in TypeScript',
      commands: [
        ['cp', 'dist/engine.js', third],
        ['node', 'server.mjs'],
      ],
    },
  ];
}

function succeeds({ promise, commands }: Step, cwd: string, env: NodeJS.ProcessEnv): boolean {
  const began = performance.now();
  for (const [command = '', ...words] of commands) {
    const { status, error, stdout, stderr } = spawnSync(command, words, {
      cwd,
      env,
      encoding: 'utf8',
      timeout: 180_000,
    });
    if (status === 0) continue;
    console.log(`not ok ${promise}\n${[command, ...words].join(' ')}: ${error?.message ?? status}\n${stdout}${stderr}`);
    return false;
  }
  console.log(`ok     ${promise} (${Math.round((performance.now() - began) / 1000)} s)`);
  return true;
}
