import { type Check, durable, type EngineTrial } from '../check.ts';
import { cutAfterKills } from '../faults/cuts-after-kills.ts';
import { aLittleOfEverything, copiesComeAndGo } from '../faults/plays.ts';
import { cutEverywhere } from '../faults/power-cuts.ts';
import { withRecording } from '../faults/with-recording.ts';

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
    run: cutPower,
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
    run: cutAfterAKill,
  },
];

/** For each of the two recordings. */
const KILLS_MS = 4500;
const CHOICES = 3;
const SEEDED_MS = 6000;
const AT_MOST_MS = 90_000;

function cutPower(trial: EngineTrial): Promise<void> {
  const { definition, seed, effort, note } = trial;
  const play = aLittleOfEverything(definition.capabilities.append);
  return withRecording(trial, play, { crashPoints: 'n/a' }, async ({ workshop, recording, dir }) => {
    const { points, disks } = await cutEverywhere(workshop, recording, {
      seed,
      choices: CHOICES * effort,
      forMs: SEEDED_MS * effort,
      atMostMs: AT_MOST_MS,
      dir,
    });
    note({ crashPoints: points, powerCutDisks: disks });
  });
}

async function cutAfterAKill(trial: EngineTrial): Promise<void> {
  const { definition, seed, effort, note } = trial;
  const { append: appends } = definition.capabilities;
  let tried = 0;
  let of = 0;
  for (const play of [copiesComeAndGo, aLittleOfEverything(appends)]) {
    const kills = await withRecording(trial, play, {}, ({ workshop, recording, dir }) =>
      cutAfterKills(workshop, recording, { seed, forMs: KILLS_MS * effort, appends, dir }),
    );
    tried += kills.tried;
    of += kills.of;
  }
  note({ cutsAfterKills: { tried, of } });
}
