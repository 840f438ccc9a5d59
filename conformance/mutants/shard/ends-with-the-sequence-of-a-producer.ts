import { readHeader, StorageError } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes no sequence behind 2^31 - 1',
  incident:
    'Redpanda #4854: a producer that had sent 2^31 - 1 records to one partition was refused from then on: out of order',
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
