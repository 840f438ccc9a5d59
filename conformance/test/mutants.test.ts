import { readFile } from 'node:fs/promises';
import { checks } from '@robustmq/conformance';
import { describe, expect, it } from 'vitest';
import { allMutants } from '../mutants/all.ts';
import { describeMutants } from '../mutants/describe.ts';
import { runMutant } from '../mutants/run.ts';
import { isLong } from '../src/run-check.ts';

const mutants = await allMutants();
const long = new Set(checks.filter(isLong).map(({ id }) => id));

describe('the suite catches, by the check meant for it,', () => {
  // what takes long, or a process of its own, is for `npm run mutants`
  const quick = mutants.filter(({ caughtBy, apart }) => !long.has(caughtBy) && apart !== true);

  it.each(quick.map((mutant) => [mutant.stage === 'engine' ? 'an engine' : 'a shard', mutant.name, mutant] as const))(
    '%s that %s',
    async (_, __, mutant) => {
      const { caught, message } = await runMutant(mutant, 'meant');
      expect(caught).toBe(true);
      expect(message).toContain(`${mutant.caughtBy} MUST`);
    },
    60_000,
  );
});

describe('a mutant', () => {
  it('is one of many, and no two have one name', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(25);
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  });

  it('names checks that there are, and the incident it mimics', () => {
    const ids = new Set(checks.map(({ id }) => id));
    for (const { caughtBy, alsoFails, mayFail = [], incident, name, stage, file } of mutants) {
      for (const id of [caughtBy, ...alsoFails, ...mayFail]) expect(ids, file).toContain(id);
      expect(alsoFails, file).not.toContain(caughtBy);
      expect(incident.length, file).toBeGreaterThan(30);
      expect(name, file).not.toContain('|');
      expect(file.startsWith(`${stage}/`), file).toBe(true);
    }
  });

  it('is described in docs/mutants.md', async () => {
    const page = new URL('../../docs/mutants.md', import.meta.url);
    expect(await readFile(page, 'utf8'), 'run node tools/mutants.ts --docs').toBe(describeMutants(mutants));
  });
});

describe('a failure', () => {
  it('says the promise, why it exists, what was seen, and how to run just this', async () => {
    const mutant = mutants.find(({ file }) => file === 'engine/ignores-max-bytes');
    if (mutant === undefined) throw new Error('it is gone');
    const { message } = await runMutant(mutant, 'meant', 7);
    expect(message).toContain('SHARD-071 MUST return one batch even if it is larger than asked for');
    expect(message).toContain('bytes were read');
    expect(message).toContain('why: With nothing at all a consumer');
    expect(message).toContain('run just this: npx @robustmq/conformance <module> --only SHARD-071 --seed 7');
  });
});
