import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judge, loadSubject, prove } from '@robustmq/conformance';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

// what an author may do to the template in good faith: the suite says which promise went, and why it matters
it.each([
  {
    fault: 'acknowledges before the sync',
    file: 'log.ts',
    text: 'from);\n      await this.#file.datasync();',
    instead: 'from);',
    caughtBy: 'SHARD-216',
    seen: /settled though no sync/,
    at: /conformance\/src\//,
  },
  {
    fault: 'forgets where the next append goes',
    file: 'writer.ts',
    text: '    this.#dispatched = next;\n',
    instead: '',
    caughtBy: 'SHARD-010',
    seen: /OFFSET_MISMATCH: 0 is next/,
    at: /^Writer\.append \(.*\/src\/writer\.ts:42:\d+\)$/,
  },
  {
    fault: 'takes damage for a torn tail',
    file: 'log.ts',
    text: 'provenBy(frame) > from',
    instead: 'provenBy(frame) > from + 1e12',
    caughtBy: 'SHARD-223',
    seen: /segment \S+ ends at \d+, appends up to \d+ were acknowledged/,
    at: /conformance\/src\//,
  },
  {
    fault: 'recovers without a fence',
    file: 'engine.ts',
    text: 'this.#writers.get(id)?.fence(`epoch',
    instead: 'void (`epoch',
    caughtBy: 'SHARD-040',
    seen: /FENCED or WRITER_FAILED or SEGMENT_SEALED was wanted, it succeeded/,
    at: /conformance\/src\//,
  },
])('a template that $fault is caught by $caughtBy', { timeout: 120_000 }, async (broken) => {
  const folder = mkdtempSync(join(tmpdir(), 'robust-broken-'));
  try {
    cpSync(join(ROOT, 'create-robust-engine/template/src'), join(folder, 'src'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const path = join(folder, 'src', broken.file);
    const text = readFileSync(path, 'utf8');
    expect(text.split(broken.text)).toHaveLength(2);
    writeFileSync(path, text.replace(broken.text, broken.instead));
    const subject = await loadSubject('./src/index.ts', { cwd: folder });
    const { failures } = judge(await prove(subject, { only: [broken.caughtBy] }));
    expect(failures.map(({ id }) => id)).toEqual([broken.caughtBy]);
    expect(failures[0]?.seen).toMatch(broken.seen);
    expect(failures[0]?.at[0]).toMatch(broken.at);
    expect(failures[0]?.run).toBe(`npx @robustmq/conformance ./src/index.ts --only ${broken.caughtBy} --seed 1`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
