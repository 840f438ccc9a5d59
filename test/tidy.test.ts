import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageFolders, ROOT, sources } from '../tools/docs.ts';

/** The rules of the house that a linter can't hold. */

/** Where the world comes in; the conformance suite is a test. */
const WORLD = [/^core\/src\/system\.ts$/, /^core\/src\/fs\//, /^conformance\//];

const IGNORED = new Set(['node_modules', 'dist', '.git', 'data', '.cache']);
/** This file names what it forbids. */
const SELF = 'test/tidy.test.ts';

function everyFile(folder = ''): { readonly path: string; readonly text: string }[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (IGNORED.has(entry.name) || path === 'packed') return [];
    if (entry.isDirectory()) return everyFile(path);
    return entry.isFile() && path !== SELF ? [{ path, text: readFileSync(join(ROOT, path), 'utf8') }] : [];
  });
}

/** `path:line: text` of each line that matches. */
function linesWith(files: readonly { readonly path: string; readonly text: string }[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  );
}

const code = (line: string): string => line.replace(/^\s*(\*|\/\/|\/\*).*$/, '');

test('time and chance come from the world that is handed in', () => {
  const inside = sources()
    .filter(({ path }) => !WORLD.some((allowed) => allowed.test(path)))
    .map(({ path, text }) => ({ path, text: text.split('\n').map(code).join('\n') }));
  const forbidden =
    /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(|\b(setTimeout|setInterval)\((?!\s*0\b)|\bcrypto\.random|\brandomUUID\(|\brandomBytes\(|node:timers|AbortSignal\.timeout\(/;
  // a socket's own timeout is no timer of ours, but the house forbids that too: deadlines come from the clock
  expect(linesWith(inside, forbidden)).toEqual([]);
});

test('nothing half-done is left behind', () => {
  const marks = /\b(TODO|FIXME|XXX|HACK)\b|\b(it|test|describe)\.only\(/;
  expect(
    linesWith(
      everyFile().filter(({ path }) => !path.endsWith('package-lock.json')),
      marks,
    ),
  ).toEqual([]);
});

test('no path of a developer machine is in any file', () => {
  const machine = /(^|[\s"'`(=:])\/(work\/main|home\/[a-z]+\/|root\/|Users\/)/;
  expect(linesWith(everyFile(), machine)).toEqual([]);
});

describe('arrows between packages point one way: server -> brokers -> core <- engines, meta -> core, conformance -> core', () => {
  const allowed = (folder: string): RegExp => {
    if (folder === 'core') return /^$/;
    // engines on stores of objects share one core of their own
    if (folder === 'engines/s3' || folder === 'engines/hdfs') return /^(core(\/|$)|engine-objects$)/;
    if (folder === 'brokers/common' || folder === 'meta' || folder === 'conformance' || folder.startsWith('engines/'))
      return /^core(\/|$)/;
    if (folder.startsWith('brokers/')) return /^(core(\/|$)|broker-common$)/;
    return /^(core(\/|$)|meta$|engine-|broker-)/;
  };
  const IMPORT = /(?:from|import\(|import)\s*\(?'([^']+)'/g;

  test.each(packageFolders())('%s', (folder) => {
    const wrong: string[] = [];
    for (const { path, text } of sources().filter((file) => file.path.startsWith(`${folder}/`)))
      for (const [, target = ''] of text.matchAll(IMPORT)) {
        const own = target.startsWith('@robustmq/') ? target.slice('@robustmq/'.length) : undefined;
        if (own !== undefined && !allowed(folder).test(own)) wrong.push(`${path}: ${target}`);
        if (target.startsWith('.') && !normalize(join(path, '..', target)).startsWith(`${folder}/`))
          wrong.push(`${path}: ${target}`);
      }
    expect(wrong).toEqual([]);
  });

  test('the references of each package allow no more than that', () => {
    const wrong = packageFolders().flatMap((folder) => {
      const { references = [] } = JSON.parse(readFileSync(join(ROOT, folder, 'tsconfig.json'), 'utf8')) as {
        references?: { path: string }[];
      };
      return references
        .map(({ path }) =>
          normalize(join(folder, path))
            .replace(/^engines\//, 'engine-')
            .replace(/^brokers\//, 'broker-'),
        )
        .filter((name) => !allowed(folder).test(name))
        .map((name) => `${folder} -> ${name}`);
    });
    expect(wrong).toEqual([]);
  });
});
