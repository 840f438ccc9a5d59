import { viewOf } from '@robustmq/core';
import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'puts a leader epoch of its own into each batch',
  incident:
    'A field outside of the checksum that looks free to use: no CRC complains, and followers take the wrong epoch for the truth',
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
