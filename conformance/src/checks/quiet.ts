import { SeededRandom } from '@robustmq/core/testing';
import { type Check, NotClaimed, survivesCrashes } from '../check.ts';
import { damageTheLast } from '../faults/last-proven.ts';
import { openAndQuiet } from '../faults/plays.ts';
import { record } from '../faults/recording.ts';
import { withScratch } from '../faults/scratch.ts';
import { lastTail } from '../faults/torn-tails.ts';

const LOOKS_FOR_MS = 1500;

export const quietChecks: readonly Check[] = [
  {
    id: 'SHARD-281',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'notice damage to the very last append, too, once nothing was written for a moment',
    why: 'Only what comes behind an append proves that it was whole. On a quiet topic nothing comes for days, and for days one bad bit would have taken the last acknowledged record for a torn write.',
    timeoutMs: 60_000,
    claimed: survivesCrashes,
    run: ({ harness, seed, effort }) =>
      withScratch(async (dir) => {
        const { workshop } = harness;
        const recording = workshop === undefined ? undefined : await record(workshop, dir, openAndQuiet);
        if (workshop === undefined || recording === undefined)
          throw new NotClaimed('its I/O does not all go through ctx.fs');
        const tail = lastTail(recording);
        if (tail === undefined) throw new NotClaimed('no write waits for the disk while an append does');
        const random = new SeededRandom(seed);
        await damageTheLast({ workshop, recording, tail, dir, random, forMs: LOOKS_FOR_MS * effort });
      }),
  },
];
