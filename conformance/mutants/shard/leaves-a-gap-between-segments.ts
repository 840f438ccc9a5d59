import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'names a segment that ends before the next one begins',
  incident:
    'Redpanda #11121: reads from tiered storage had gaps in them. Redpanda refuses such uploads, and its scrubber looks for them',
  stage: 'shard',
  caughtBy: 'SHARD-161',
  alsoFails: [],
  definition: oneFile(),
  shard: (shard) => ({
    segments: async () =>
      (await shard.segments()).map((segment) =>
        segment.end === undefined ? segment : { ...segment, end: segment.end - 1 },
      ),
  }),
};

export default mutant.definition;
