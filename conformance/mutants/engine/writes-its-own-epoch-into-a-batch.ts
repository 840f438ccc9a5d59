import { viewOf } from '@robustmq/core';
import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'puts a leader epoch of its own into each batch',
  incident:
    'KAFKA-18723: no checksum covers the leader epoch of a batch: followers took what they were sent, also from an epoch above their own',
  stage: 'engine',
  caughtBy: 'SHARD-006',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => ({
    append: (batches, options) => {
      const own = batches.map((bytes) => bytes.slice());
      for (const bytes of own) viewOf(bytes).setInt32(12, 0);
      return writer.append(own, options);
    },
  })),
};

export default mutant.definition;
