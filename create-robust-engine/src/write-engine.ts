import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CreateError } from './create-error.ts';

/** Beside `src` and `dist`. */
const TEMPLATE = join(import.meta.dirname, '../template');

/** The template's own names, which become the engine's. */
const NAME = 'my-engine';
const CLASS = 'MyEngine';

/** @throws CreateError when there is something in `folder` */
export function writeEngine(name: string, folder: string, tarballs: ReadonlyMap<string, string> | undefined): void {
  makeEmpty(folder);
  cpSync(TEMPLATE, folder, {
    recursive: true,
    filter: (path) => !/\/(node_modules|dist)(\/|$)/.test(path.slice(TEMPLATE.length)),
  });
  // npm leaves .gitignore out of tarballs
  renameSync(join(folder, 'gitignore'), join(folder, '.gitignore'));
  for (const path of textFiles(folder)) {
    const text = readFileSync(path, 'utf8');
    const named = text.replaceAll(NAME, name).replaceAll(CLASS, classOf(name));
    if (named !== text) writeFileSync(path, named);
  }
  if (tarballs !== undefined) useTarballs(join(folder, 'package.json'), tarballs);
}

function makeEmpty(folder: string): void {
  let there: readonly string[];
  try {
    makeFolder(resolve(folder));
    there = readdirSync(folder);
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new CreateError(
      `${folder} can not be made, or not be written to: ${said}`,
      'Choose another folder with --dir',
    );
  }
  if (there.length > 0) throw new CreateError(`${folder} is not empty`, 'Choose another folder with --dir');
}

/** One by one: where a folder that is there takes none (/proc), Node's own `recursive` never ends. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder);
}

function textFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name !== 'LICENSE')
    .map((entry) => join(entry.parentPath, entry.name));
}

function classOf(name: string): string {
  const words = name.split('-').map((word) => word.slice(0, 1).toUpperCase() + word.slice(1));
  return words.at(-1) === 'Engine' ? words.join('') : `${words.join('')}Engine`;
}

function useTarballs(manifest: string, tarballs: ReadonlyMap<string, string>): void {
  const found = JSON.parse(readFileSync(manifest, 'utf8')) as { devDependencies: Record<string, string> }; // the template's
  for (const [name, file] of tarballs) found.devDependencies[name] = `file:${file}`;
  writeFileSync(manifest, `${JSON.stringify(found, null, 2)}\n`);
}
