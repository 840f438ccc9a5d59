import { type Check, durable, type EngineTrial, NotClaimed } from '../check.ts';
import { aLittleOfEverything } from '../faults/plays.ts';
import { cutEverywhere } from '../faults/power-cuts.ts';
import { record } from '../faults/recording.ts';
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

const CHOICES = 3;
const SEEDED_MS = 6000;
const AT_MOST_MS = 90_000;

async function cutPower({ definition, harness, seed, effort, note }: EngineTrial, dir: string): Promise<void> {
  // behind a link the data is the service's
  const workshop = harness.link === undefined ? harness.workshop : undefined;
  const play = aLittleOfEverything(definition.capabilities.append);
  const recording = workshop === undefined ? undefined : await record(workshop, dir, play);
  if (workshop === undefined || recording === undefined) {
    note({ crashPoints: 'n/a' });
    throw new NotClaimed('its I/O does not all go through ctx.fs');
  }
  const { points, disks } = await cutEverywhere(workshop, recording, {
    seed,
    choices: CHOICES * effort,
    forMs: SEEDED_MS * effort,
    atMostMs: AT_MOST_MS,
    dir,
  });
  note({ crashPoints: points, powerCutDisks: disks });
}
