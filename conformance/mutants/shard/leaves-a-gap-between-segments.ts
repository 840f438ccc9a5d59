import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'names a segment that ends before the next one begins',
  incident:
    'An archive with a hole between two segments: Redpanda refuses such an upload, and its scrubber looks for them',
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
