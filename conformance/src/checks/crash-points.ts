import { join } from 'node:path';
import { type Check, durable, type EngineTrial, NotClaimed, type Workshop } from '../check.ts';
import { cutAfterKills } from '../faults/cuts-after-kills.ts';
import { aLittleOfEverything, copiesComeAndGo } from '../faults/plays.ts';
import { cutEverywhere } from '../faults/power-cuts.ts';
import { type Recording, record, type Stage } from '../faults/recording.ts';
import { withScratch } from '../faults/scratch.ts';

export const crashPointChecks: readonly Check[] = [
  {
    id: 'SHARD-200',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'hold what was acknowledged, whole and nothing else, after a power cut at any step of its I/O',
    why: 'kill -9 keeps what the kernel has in memory; a power cut keeps any part of it, in any order. Databases that had passed every kill test for years lost their newest file with it: it was renamed before it was synced, or its directory never was.',
    timeoutMs: 120_000,
    claimed: (capabilities, { canCrash }) => canCrash && durable(capabilities, { canCrash }),
    run: (trial) => withScratch((dir) => cutPower(trial, dir)),
  },
];

/** Younger than the others, and after them in the list. */
export const laterCrashPointChecks: readonly Check[] = [
  {
    id: 'SHARD-297',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise:
      "hold what was acknowledged after a kill, a start, and a power cut: what the killed process had not synced is its successor's to sync",
    why: 'After a kill -9 the kernel still has what was written, renamed and removed, and the next process finds it done. One that takes it for durable lets go of its log, and a power cut brings back a segment that had been deleted, or takes one that was copied out of the log. local-file did, and had passed every power cut and every kill by itself.',
    timeoutMs: 120_000,
    claimed: (capabilities, { canCrash }) => canCrash && durable(capabilities, { canCrash }),
    run: (trial) =>
      withScratch(async (dir) => {
        const { seed, effort } = trial;
        const { append } = trial.definition.capabilities;
        let tried = 0;
        let of = 0;
        for (const [name, play] of Object.entries({ copies: copiesComeAndGo, all: aLittleOfEverything(append) })) {
          const { workshop, recording } = await recordingOf(trial, join(dir, name), play);
          const options = { seed, forMs: KILLS_MS * effort, appends: append, dir: join(dir, name) };
          const kills = await cutAfterKills(workshop, recording, options);
          tried += kills.tried;
          of += kills.of;
        }
        trial.note({ cutsAfterKills: { tried, of } });
      }),
  },
];

/** For each of the two recordings. */
const KILLS_MS = 4500;
const CHOICES = 3;
const SEEDED_MS = 6000;
const AT_MOST_MS = 90_000;

type Play = (stage: Stage) => Promise<void>;

/** @throws NotClaimed when nobody could rebuild its disk */
async function recordingOf(
  { harness }: EngineTrial,
  dir: string,
  play: Play,
): Promise<{ readonly workshop: Workshop; readonly recording: Recording }> {
  // behind a link the data is the service's
  const workshop = harness.link === undefined ? harness.workshop : undefined;
  const recording = workshop === undefined ? undefined : await record(workshop, dir, play);
  if (workshop === undefined || recording === undefined) throw new NotClaimed('its I/O does not all go through ctx.fs');
  return { workshop, recording };
}

async function cutPower(trial: EngineTrial, dir: string): Promise<void> {
  const { definition, seed, effort, note } = trial;
  const play = aLittleOfEverything(definition.capabilities.append);
  const { workshop, recording } = await recordingOf(trial, dir, play).catch((error: unknown) => {
    if (error instanceof NotClaimed) note({ crashPoints: 'n/a' });
    throw error;
  });
  const { points, disks } = await cutEverywhere(workshop, recording, {
    seed,
    choices: CHOICES * effort,
    forMs: SEEDED_MS * effort,
    atMostMs: AT_MOST_MS,
    dir,
  });
  note({ crashPoints: points, powerCutDisks: disks });
}
