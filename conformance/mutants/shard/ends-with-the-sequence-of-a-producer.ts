import { readHeader, StorageError } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes no sequence behind 2^31 - 1',
  incident:
    'A counter of 32 bits with a sign that nobody had seen at its end: the busiest producer is the one that stops',
  stage: 'shard',
  caughtBy: 'SHARD-282',
  alsoFails: [],
  definition: MEMORY,
  shard: (shard) => ({
    append: async (batches, options) => {
      for (const bytes of batches)
        if (bytes.length > 61 && readHeader(bytes).baseSequence + readHeader(bytes).lastOffsetDelta > 2 ** 31 - 1)
          throw new StorageError('SEQUENCE_GAP', 'The sequence is over');
      return await shard.append(batches, options);
    },
  }),
};

export default mutant.definition;
