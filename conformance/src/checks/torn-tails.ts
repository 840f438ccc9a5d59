import { SeededRandom } from '@robustmq/core/testing';
import { appends, type Check, durable, type EngineTrial, NotClaimed } from '../check.ts';
import { flipEverywhere } from '../faults/bit-flips.ts';
import { alikeAndSealed, appendsToTheLast, openAndQuiet } from '../faults/plays.ts';
import type { Stage } from '../faults/recording.ts';
import { cutsAndGarbles, lastTail, someSectors, type TornTail, tear } from '../faults/torn-tails.ts';
import { type Recorded, withRecording } from '../faults/with-recording.ts';

const TIMEOUT_MS = 120_000;
/** How long each looks at disks, one after the other in no order, until it has seen them all. */
const CUTS_MS = 2500;
const SECTORS_MS = 2000;
const FLIPS_MS = 3000;
const ALIKE = 8;
/** Every byte of a small group, every sector of a large one. */
const SMALL_BYTES = 20;
const LARGE_BYTES = 1500;
const SECTOR_SUBSETS = 40;

export const tornTailChecks: readonly Check[] = [
  {
    id: 'SHARD-220',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'open and recover everything acknowledged when the last group was cut or garbled at any byte',
    why: 'A crash in the middle of a write is the normal way to stop. Logs that took its remains for damage did not start again, and logs that believed a length in it showed records that nobody had sent.',
    timeoutMs: TIMEOUT_MS,
    claimed: crashesAndAppends,
    run: (trial) =>
      withTail(trial, 'tornTails', SMALL_BYTES, async ({ workshop, recording, dir, tail }) => {
        const random = new SeededRandom(trial.seed);
        const forMs = CUTS_MS * trial.effort;
        const damages = cutsAndGarbles(tail, random);
        trial.note({ tornTails: await tear(damages, { workshop, recording, tail, dir, random, forMs }) });
      }),
  },
  {
    id: 'SHARD-221',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'open and recover everything acknowledged when sectors of the last group reached the disk in any order',
    why: 'A disk writes what lies nearest. A group whose end is there and whose beginning is not looks whole to whoever looks at its end.',
    timeoutMs: TIMEOUT_MS,
    claimed: crashesAndAppends,
    run: (trial) =>
      withTail(trial, 'tornSectors', LARGE_BYTES, async ({ workshop, recording, dir, tail }) => {
        const random = new SeededRandom(trial.seed);
        const forMs = SECTORS_MS * trial.effort;
        const damages = someSectors(tail, random, SECTOR_SUBSETS * trial.effort);
        trial.note({ tornSectors: await tear(damages, { workshop, recording, tail, dir, random, forMs }) });
      }),
  },
  {
    id: 'SHARD-222',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'notice a flipped bit anywhere in what it keeps of sealed segments, or show the right bytes',
    why: 'Disks give back wrong bits and no error. Data has its checksum; lengths, indexes and footers were trusted, and a single bit in one of them made a log shorter without a word.',
    timeoutMs: TIMEOUT_MS,
    claimed: (capabilities, { canCrash }) => canCrash && durable(capabilities, { canCrash }),
    run: (trial) => flip(trial, alikeAndSealed(ALIKE, trial.definition.capabilities.append), false),
  },
  {
    id: 'SHARD-223',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'notice a flipped bit in acknowledged appends that others followed, and never cut them off as a torn tail',
    why: 'Torn and damaged look alike from inside. A log that ends at the first wrong checksum has dropped every acknowledged record behind one bad bit.',
    timeoutMs: TIMEOUT_MS,
    claimed: crashesAndAppends,
    run: (trial) => flip(trial, openAndQuiet, true),
  },
];

function crashesAndAppends(
  capabilities: EngineTrial['definition']['capabilities'],
  harness: { readonly canCrash: boolean },
): boolean {
  return harness.canCrash && appends(capabilities, harness) && durable(capabilities, harness);
}

function withTail(
  trial: EngineTrial,
  fact: 'tornTails' | 'tornSectors',
  valueBytes: number,
  use: (torn: Recorded & { readonly tail: TornTail }) => Promise<void>,
): Promise<void> {
  return withRecording(trial, appendsToTheLast(valueBytes), { [fact]: 'n/a' }, async (recorded) => {
    const tail = lastTail(recorded.recording);
    // it acknowledges without a write: the checks of power cuts have something to say about that
    if (tail === undefined) throw new NotClaimed('no write waits for the disk while an append does');
    await use({ ...recorded, tail });
  });
}

function flip(trial: EngineTrial, play: (stage: Stage) => Promise<void>, lastIsUnproven: boolean): Promise<void> {
  return withRecording(
    trial,
    play,
    lastIsUnproven ? { bitFlipsOpen: 'n/a' } : { bitFlips: 'n/a' },
    async ({ workshop, recording, dir }) => {
      const random = new SeededRandom(trial.seed);
      const forMs = FLIPS_MS * trial.effort;
      const { tried, of } = await flipEverywhere({ workshop, recording, dir, random, forMs, lastIsUnproven });
      trial.note(lastIsUnproven ? { bitFlipsOpen: { tried, of } } : { bitFlips: { tried, of } });
    },
  );
}
