import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

/** What is looked at of a packed `package.json`. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly description?: string;
  readonly keywords?: readonly string[];
  readonly license?: string;
  readonly author?: unknown;
  readonly homepage?: string;
  readonly bugs?: unknown;
  readonly repository?: { readonly url?: string; readonly directory?: string };
  readonly type?: string;
  readonly engines?: { readonly node?: string };
  readonly sideEffects?: unknown;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>> | string;
  readonly exports?: Readonly<Record<string, string | { readonly types?: string; readonly default?: string }>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** The rules of the house for a published package that this one, unpacked in `folder`, breaks; each as a sentence. */
export function brokenRules(folder: string, manifest: Manifest): string[] {
  const files = filesBelow(folder);
  return [
    ...manifestRules(manifest),
    ...entryRules(manifest, files),
    ...fileRules(files),
    ...readmeRules(folder),
    ...buildRules(folder, files),
    ...textRules(folder, files),
  ];
}

function manifestRules(manifest: Manifest): string[] {
  const broken: string[] = [];
  const needed = {
    description: manifest.description,
    keywords: manifest.keywords?.length,
    license: manifest.license,
    author: manifest.author,
    homepage: manifest.homepage,
    bugs: manifest.bugs,
    'repository.url': manifest.repository?.url,
    'repository.directory': manifest.repository?.directory,
    'engines.node': manifest.engines?.node,
  };
  for (const [field, value] of Object.entries(needed)) if (!value) broken.push(`package.json has no ${field}`);
  if (manifest.exports !== undefined && manifest.sideEffects === undefined)
    broken.push('package.json does not say whether it has side effects');
  if (manifest.type !== 'module') broken.push('package.json is not "type": "module"');
  if (manifest.private) broken.push('package.json is private');
  for (const hook of ['preinstall', 'install', 'postinstall'])
    if (manifest.scripts?.[hook] !== undefined) broken.push(`runs a script at install: ${hook}`);
  for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies }))
    if (/^(file|link|workspace|git|http)|^\*$|^latest$/.test(range)) broken.push(`depends on ${name} as ${range}`);
  return broken;
}

/** Every entry is built, has types, and no pattern opens a folder. */
function entryRules({ exports = {}, bin = {} }: Manifest, files: readonly string[]): string[] {
  const broken: string[] = [];
  const isThere = (path: string | undefined): boolean => path !== undefined && files.includes(normalize(path));
  for (const [key, entry] of Object.entries(exports)) {
    if (key.includes('*')) broken.push(`exports ${key} opens a whole folder`);
    else if (key === './package.json') continue;
    else if (typeof entry === 'string') broken.push(`exports ${key} has no types`);
    else if (Object.keys(entry)[0] !== 'types' || !isThere(entry.types)) broken.push(`exports ${key} has no types`);
    else if (!isThere(entry.default) || !/^\.\/dist\/.*\.js$/.test(entry.default ?? ''))
      broken.push(`exports ${key} names no built file`);
  }
  for (const path of typeof bin === 'string' ? [bin] : Object.values(bin))
    if (!isThere(path)) broken.push(`bin ${path} is not there`);
  return broken;
}

function fileRules(files: readonly string[]): string[] {
  const broken = files
    // a template's tests are what it is for
    .filter((file) => !file.startsWith('template'))
    .filter((file) => /(^|\/)(test|bench|node_modules|\.[^/]+)(\/|$)|\.test\.|tsbuildinfo|\.tgz$/.test(file))
    .map((file) => `ships ${file}`);
  return files.includes('LICENSE') ? broken : [...broken, 'ships no LICENSE'];
}

/** A title, what it is, and lines that use it. */
function readmeRules(folder: string): string[] {
  const path = join(folder, 'README.md');
  const readme = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const broken: string[] = [];
  if (!/^# \S+\n\n\S.{40}/.test(readme)) broken.push('README.md does not begin with the name and what it is');
  if (!/^(```|( {4}\S))/m.test(readme)) broken.push('README.md shows no lines that use it');
  for (const [, target = ''] of readme.matchAll(/\]\((?!https?:|#|\.\.\/)([^)#]+)/g))
    if (!existsSync(join(folder, target))) broken.push(`README.md links to ${target}, which is not in the package`);
  return broken;
}

/** What is built has its types, its map, and the source that the map names. */
function buildRules(folder: string, files: readonly string[]): string[] {
  const broken: string[] = [];
  const known = new Set(files);
  for (const file of files.filter((path) => path.startsWith('dist/'))) {
    const stem = file.replace(/(\.d\.ts|\.js)(\.map)?$/, '');
    if (!known.has(`src/${stem.slice('dist/'.length)}.ts`)) broken.push(`${file} has no source`);
    if (!file.endsWith('.map')) {
      if (!known.has(`${file}.map`)) broken.push(`${file} has no map`);
      continue;
    }
    // a source map, as the compiler wrote it
    const { sources } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { readonly sources: readonly string[] };
    for (const source of sources)
      if (!known.has(join(dirname(file), source))) broken.push(`${file} names ${source}, which is not in the package`);
  }
  for (const file of files.filter((path) => /^src\/.*\.ts$/.test(path)))
    for (const ending of ['.js', '.d.ts'])
      if (!known.has(file.replace(/^src\//, 'dist/').replace(/\.ts$/, ending)))
        broken.push(`${file} was not built to ${ending}`);
  return broken;
}

function textRules(folder: string, files: readonly string[]): string[] {
  const machine = /(?<![\w.$}])\/(work|tmp|home|Users|root)\/[\w.-]+/;
  return files.flatMap((file) => {
    const found = machine.exec(readFileSync(join(folder, file), 'utf8'))?.[0];
    return found === undefined ? [] : [`${file} names a path of a machine: ${found}`];
  });
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
}
