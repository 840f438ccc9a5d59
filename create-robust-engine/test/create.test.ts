import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSubject, prove } from '@robustmq/conformance';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../src/index.ts';

const ROOT = join(import.meta.dirname, '../..');

let folder = '';
let said: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'robust-create-'));
  said = [];
  for (const stream of ['log', 'error'] as const)
    vi.spyOn(console, stream).mockImplementation((text: string) => void said.push(text));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

describe('create-robust-engine', { timeout: 120_000 }, () => {
  it('writes a package of the name that was asked for, with everything that belongs to one', () => {
    expect(main(['ring-buffer'], folder)).toBe(0);
    const made = join(folder, 'robust-engine-ring-buffer');
    expect(readdirSync(made).toSorted()).toEqual([
      '.github',
      '.gitignore',
      'LICENSE',
      'README.md',
      'package.json',
      'src',
      'test',
      'tsconfig.build.json',
      'tsconfig.json',
    ]);
    expect(JSON.parse(readFileSync(join(made, 'package.json'), 'utf8'))).toMatchObject({
      name: 'robust-engine-ring-buffer',
      keywords: expect.arrayContaining(['robust-engine']),
      exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
      peerDependencies: { '@robustmq/core': expect.any(String) },
    });
    const left = readdirSync(made, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .filter((entry) => /my-engine|MyEngine/.test(readFileSync(join(entry.parentPath, entry.name), 'utf8')));
    expect(left).toEqual([]);
    expect(said.join('\n')).toContain('cd robust-engine-ring-buffer\n  npm install\n  npm run conformance');
  });

  it('makes a package that type-checks, builds, and is loaded by its folder and proven', async () => {
    expect(main(['robust-engine-x2', '--dir', 'mine'], folder)).toBe(0);
    const made = join(folder, 'mine');
    symlinkSync(join(ROOT, 'node_modules'), join(made, 'node_modules'));
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    for (const project of ['tsconfig.json', 'tsconfig.build.json'])
      execFileSync(process.execPath, [tsc, '-p', project], { cwd: made, stdio: 'inherit' });
    const subject = await loadSubject('.', { cwd: made });
    expect(subject.source).toContain('dist/index.js');
    expect(subject.definition.name).toBe('x2');
    // the whole of it: `npm run conformance`
    const proof = await prove(subject, { only: ['SHARD-001', 'SHARD-021', 'SHARD-043', 'SHARD-060', 'SHARD-103'] });
    expect(proof.cards.flatMap(({ failed }) => failed)).toEqual([]);
    expect(proof.cards.flatMap(({ notClaimed }) => notClaimed)).toEqual([]);
  });

  it('takes the packages from tarballs when there is no registry', () => {
    for (const name of ['robustmq-core-0.1.0.tgz', 'robustmq-conformance-0.1.0.tgz'])
      writeFileSync(join(folder, name), '');
    expect(main(['abc', '--packages', '.'], folder)).toBe(0);
    const manifest = JSON.parse(readFileSync(join(folder, 'robust-engine-abc/package.json'), 'utf8'));
    expect(manifest.devDependencies['@robustmq/core']).toBe(`file:${join(folder, 'robustmq-core-0.1.0.tgz')}`);
  });

  it.each([
    [[], 'needs a name'],
    [['a', 'b'], 'one name, and 2 were given'],
    [['My_Engine'], '"My_Engine" can not be the name'],
    [['../x'], 'can not be the name'],
    [['local-file'], "is the name of an engine of RobustMQ's own"],
    [['full'], 'is not empty'],
    [['abc', '--dir', 'robust-engine-full/mine.txt'], 'can not be made'],
    [['abc', '--dir', 'robust-engine-full/mine.txt/x'], 'can not be made'],
    [['abc', '--dir', '/proc/nowhere/x'], 'can not be made'],
    [['abc', '--what'], "Unknown option '--what'"],
    [['abc', '--packages', 'nowhere'], 'there is no folder'],
    [['abc', '--packages', 'robust-engine-full'], 'there is no tarball of @robustmq/core'],
  ])('refuses %j with 2 and one plain message, and writes nothing', (words, message) => {
    mkdirSync(join(folder, 'robust-engine-full'));
    writeFileSync(join(folder, 'robust-engine-full/mine.txt'), 'mine');
    expect(main(words, folder)).toBe(2);
    expect(said.join('\n')).toContain(message);
    expect(readdirSync(folder)).toEqual(['robust-engine-full']);
    expect(readdirSync(join(folder, 'robust-engine-full'))).toEqual(['mine.txt']);
  });
});
