import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { brokenRules, type Manifest } from '../../tools/publish-rules.ts';

const MANIFEST: Manifest = {
  name: '@robustmq/x',
  version: '1.0.0',
  description: 'An x',
  keywords: ['x'],
  license: 'Apache-2.0',
  author: 'x',
  homepage: 'https://example.org',
  bugs: 'https://example.org',
  repository: { url: 'git+https://example.org/x.git', directory: 'x' },
  type: 'module',
  engines: { node: '>=22' },
  sideEffects: false,
  exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' }, './package.json': './package.json' },
  dependencies: { level: '10.0.0' },
};

const map = (source: string): string => JSON.stringify({ version: 3, sources: [source], mappings: '' });

const FILES: Readonly<Record<string, string>> = {
  LICENSE: 'Apache License',
  'README.md':
    '# @robustmq/x\n\nAn x for those who need one of its kind and no other.\n\n```ts\nimport x from "x";\n```\n',
  'src/index.ts': 'export const x = 1;\n',
  'dist/index.js': 'export const x = 1;\n',
  'dist/index.js.map': map('../src/index.ts'),
  'dist/index.d.ts': 'export declare const x = 1;\n',
  'dist/index.d.ts.map': map('../src/index.ts'),
};

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'robust-rules-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function broken(manifest: Partial<Manifest> = {}, files: Readonly<Record<string, string | undefined>> = {}): string[] {
  for (const [path, text] of Object.entries({ ...FILES, ...files })) {
    if (text === undefined) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return brokenRules(folder, { ...MANIFEST, ...manifest });
}

test('a package that keeps every rule has nothing said of it', () => expect(broken()).toEqual([]));

describe('a package is held back when', () => {
  test.each<[string, string, Partial<Manifest>, Record<string, string | undefined>]>([
    ['nobody can tell where it comes from', 'no repository.url', { repository: { directory: 'x' } }, {}],
    ['it has no keywords', 'no keywords', { keywords: [] }, {}],
    [
      'its entries are sources',
      'names no built file',
      { exports: { '.': { types: './dist/index.d.ts', default: './src/index.ts' } } },
      {},
    ],
    ['an entry has no types', 'has no types', { exports: { '.': './dist/index.js' } }, {}],
    [
      'a pattern opens a folder',
      'opens a whole folder',
      { exports: { ...MANIFEST.exports, './*': './dist/*.js' } },
      {},
    ],
    ['it depends on a folder', 'depends on core as file:', { dependencies: { core: 'file:../core' } }, {}],
    ['it runs a script where it is installed', 'at install: postinstall', { scripts: { postinstall: 'node x' } }, {}],
    ['it has no licence', 'no LICENSE', {}, { LICENSE: undefined }],
    [
      'its README shows no use',
      'no lines that use it',
      {},
      { 'README.md': '# x\n\nSomething that is long enough to be a description.\n' },
    ],
    [
      'its README links to what is not there',
      'links to src/gone.ts',
      {},
      { 'README.md': `${FILES['README.md']}[x](src/gone.ts)\n` },
    ],
    ['it ships tests', 'ships src/x.test.ts', {}, { 'src/x.test.ts': '' }],
    ['it ships what an old build left', 'dist/old.js has no source', {}, { 'dist/old.js': '' }],
    ['a source was not built', 'src/new.ts was not built', {}, { 'src/new.ts': '' }],
    [
      'a map names a source that is not shipped',
      'names ../lib/index.ts',
      {},
      { 'dist/index.js.map': map('../lib/index.ts') },
    ],
    ['a built file has no map', 'dist/index.d.ts has no map', {}, { 'dist/index.d.ts.map': undefined }],
    [
      'it names a folder of the machine it was built on',
      'names a path of a machine',
      {},
      { 'dist/index.js': `const at = '${'/'}home/me/x';\n` },
    ],
  ])('%s', (_when, expected, manifest, files) => {
    expect(broken(manifest, files)).toEqual(expect.arrayContaining([expect.stringContaining(expected)]));
  });
});
