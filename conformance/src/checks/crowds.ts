import { appends, type Check } from '../check.ts';
import { idleCrowd } from '../crowds/idle.ts';
import { crowdOf200 } from '../crowds/one-of-many.ts';

export const crowdChecks: readonly Check[] = [
  {
    id: 'SHARD-250',
    level: 'MUST',
    area: 'multiplexing',
    subject: 'engine',
    promise:
      'go on with 195 segments as if nothing were, while of five others one is fenced, one fails, one is sealed, one deleted and one read slowly',
    why: 'A node carries hundreds of shards over one log and one thread: whatever happens to one of them happens beside all others, every day.',
    timeoutMs: 60_000,
    claimed: appends,
    run: crowdOf200,
  },
  {
    id: 'SHARD-251',
    level: 'MUST',
    area: 'multiplexing',
    subject: 'engine',
    promise:
      'carry ten thousand idle segments without a timer, a descriptor or much memory for each, close, and know them all again',
    why: 'Most topics are quiet most of the time. What each of them costs is what a cluster with many topics dies of, and it shows at once at a restart.',
    timeoutMs: 180_000,
    claimed: appends,
    run: idleCrowd,
  },
];
