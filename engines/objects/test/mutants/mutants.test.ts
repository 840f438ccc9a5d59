import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OBJECT_MUTANTS } from './mutants.ts';

const SOURCE = join(import.meta.dirname, '../../src');

test.each(OBJECT_MUTANTS)('the lines that "$name" breaks are there, once each', ({ changes }) => {
  // the changes of one mutant may build on each other
  const files = new Map<string, string>();
  for (const { file, from, to } of changes) {
    const text = files.get(file) ?? readFileSync(join(SOURCE, file), 'utf8');
    expect(text.split(from), `${file}: ${from}`).toHaveLength(2);
    files.set(
      file,
      text.replace(from, () => to),
    );
  }
});
