import { appendsDurably, type Check, durable } from '../check.ts';
import { failEachStep } from '../faults-io/every-step.ts';
import { failEachRead } from '../faults-io/failed-reads.ts';
import { answerLate, holdDurableSteps } from '../faults-io/slow-steps.ts';

/** Hundreds of runs, each with two starts of the engine. */
const MANY_RUNS_MS = 180_000;

export const ioFaultChecks: readonly Check[] = [
  {
    id: 'SHARD-210',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'keep what it acknowledged, and say what it did not do, whichever single step of its I/O fails',
    why: 'Code for errors runs once in a year, on the day when it matters; most data that stores lost was lost in it, not by the disk.',
    timeoutMs: MANY_RUNS_MS,
    claimed: durable,
    run: (trial) => failEachStep(trial, { how: 'error', code: 'EIO' }),
  },
  {
    id: 'SHARD-211',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise:
      'keep what it acknowledged when there is no room for a new file or name at any single step, and go on when there is',
    why: 'Full disks are the most common fault of all; logs were found cut, and nodes unable to start, long after there was room again.',
    timeoutMs: MANY_RUNS_MS,
    claimed: durable,
    run: (trial) =>
      failEachStep(trial, { how: 'error', code: 'ENOSPC', of: ['create', 'mkdir', 'rename', 'truncate'] }),
  },
  {
    id: 'SHARD-212',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'take no part of a write for the whole when room runs out in its middle, nor lose what lies beside it',
    why: 'A disk that fills up leaves a half of the write: what goes on behind that half is unreadable for every later start.',
    timeoutMs: MANY_RUNS_MS,
    claimed: durable,
    run: (trial) => failEachStep(trial, { how: 'short', code: 'ENOSPC', of: ['write'] }),
  },
  {
    id: 'SHARD-213',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'never say that something was not applied when its step was done and only the answer was an error',
    why: 'A commit whose reply is lost is a commit. Stores that called it a failure have deleted the files it pointed to, and clients wrote twice.',
    timeoutMs: MANY_RUNS_MS,
    claimed: durable,
    // a sync that was done and one that was not look the same as long as the machine stays up: SHARD-210 has them
    run: (trial) =>
      failEachStep(trial, {
        how: 'lost',
        code: 'EIO',
        of: ['create', 'write', 'truncate', 'rename', 'unlink', 'mkdir'],
      }),
  },
  {
    id: 'SHARD-214',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'acknowledge nothing that a failed sync has lost, though the next sync succeeds',
    why: 'After an error on fsync kernels drop the dirty pages and report success the next time: PostgreSQL, MySQL and MongoDB all lost data that way (fsyncgate, 2018).',
    timeoutMs: MANY_RUNS_MS,
    claimed: durable,
    run: (trial) => failEachStep(trial, { how: 'forgotten', code: 'EIO', of: ['sync'] }),
  },
  {
    id: 'SHARD-215',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'keep order and visibility when some of its steps are answered late',
    why: 'On a slow disk the second write may be back before the first: what then settles, or is shown, by arrival was never tested on a fast one.',
    timeoutMs: 60_000,
    claimed: appendsDurably,
    async run(trial) {
      for (const every of [1, 2, 3, 5]) await answerLate(trial, every);
    },
  },
  {
    id: 'SHARD-216',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'acknowledge nothing before the step that makes it durable has been answered',
    why: 'An acknowledgement that overtakes its sync is right every day but the one on which the power fails.',
    timeoutMs: 60_000,
    claimed: ({ append, durability }) => append && !['none', 'pipeline'].includes(durability),
    run: holdDurableSteps,
  },
];

/** Younger than the others, and after them in the list. */
export const laterIoFaultChecks: readonly Check[] = [
  {
    id: 'SHARD-287',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'never take a failed read for the end of what it holds, nor for there being nothing',
    why: 'A read that fails at a restart says nothing of what lies there. Logs that took the error for the end of the file, or for "no such segment", cut off or gave up what had been acknowledged (BookKeeper #2908), and the disk was well again an hour later.',
    timeoutMs: 60_000,
    claimed: durable,
    run: failEachRead,
  },
  {
    id: 'SHARD-288',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'take no part of a write for the whole when it fails with EIO in its middle',
    why: 'A bad sector, or a cable, ends a write anywhere, with the same error as one of which nothing was written. Who looks at the length of the file afterwards, or writes on behind it, has half a frame in the middle of the log.',
    timeoutMs: MANY_RUNS_MS,
    claimed: durable,
    run: (trial) => failEachStep(trial, { how: 'short', code: 'EIO', of: ['write'] }),
  },
];
