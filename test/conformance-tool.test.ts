import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Proof } from '@robustmq/conformance';
import { describe, expect, it } from 'vitest';
import { unshownFaults } from '../tools/shown-faults.ts';

const ROOT = join(import.meta.dirname, '..');

describe('npm run conformance', { timeout: 120_000 }, () => {
  it('says where the engines that it leaves out are proven', () => {
    const words = ['--disable-warning=ExperimentalWarning', 'tools/conformance.ts', '--only', 'SHARD-001'];
    const rows = execFileSync(process.execPath, words, { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
    expect(rows.at(-1)).toBe('s3, hdfs: against real servers, by npm run test:native and npm run test:containers');
  });

  describe('fails when an engine that must show its faults', () => {
    const count = { tried: 3, of: 3 };
    const shown: Proof['facts'] = {
      crashPoints: count,
      faultSteps: { tried: 3, of: 4 },
      tornTails: { tried: 3, of: 900 },
      tornSectors: count,
      bitFlips: count,
      bitFlipsOpen: count,
      failedReads: count,
    };
    const askedFor = ['SHARD-200', 'SHARD-210', 'SHARD-220', 'SHARD-221', 'SHARD-222', 'SHARD-223', 'SHARD-287'];
    const ran = (facts: Proof['facts'], how: 'passed' | 'notClaimed' = 'passed', ids = askedFor) => {
      const card = { stage: 'engine', passed: [], failed: [], notClaimed: [], seconds: 1, facts } as const;
      return { cards: [{ ...card, [how]: ids }], facts };
    };

    it('shows none of them', () => {
      for (const fact of Object.keys(shown)) {
        const what = fact.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
        for (const [hidden, why] of [
          ['n/a', 'n/a'],
          [undefined, 'none'],
          [{ tried: 0, of: 9 }, '0 of 9'],
        ])
          expect(unshownFaults('local-file', ran({ ...shown, [fact]: hidden }))).toEqual([
            `local-file shows no ${what} (${why}): its I/O does not all go through ctx.fs any more`,
          ]);
      }
      expect(unshownFaults('template', ran({}, 'notClaimed'))).toHaveLength(askedFor.length);
    });

    it('is shown at some crash points only, or does a part of its I/O elsewhere', () => {
      expect(unshownFaults('local-file', ran({ ...shown, crashPoints: { tried: 100, of: 415 } }))).toEqual([
        'local-file shows crash points 100 of 415 only: opening it has become too slow to try them all',
      ]);
      expect(unshownFaults('template', ran({ ...shown, faultsPastCtxFs: 'not tried' }))).toEqual([
        'template does a part of its I/O past ctx.fs',
      ]);
    });

    it('and passes what shows them, is another engine, or was not asked', () => {
      expect(unshownFaults('template', ran(shown))).toEqual([]);
      expect(unshownFaults('level', ran({ crashPoints: 'n/a' }, 'notClaimed'))).toEqual([]);
      expect(unshownFaults('template', ran({ crashPoints: count }, 'passed', ['SHARD-200', 'SHARD-001']))).toEqual([]);
      expect(unshownFaults('template', { cards: [], facts: {} })).toEqual([]);
    });
  });
});
