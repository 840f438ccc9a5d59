import { StorageError } from '@robustmq/core';
import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes less than it says',
  incident:
    'Limits that are only nearly enforced (Tansu and max.message.bytes): the topic was accepted, the message is not',
  stage: 'engine',
  caughtBy: 'SHARD-120',
  // two of the largest
  alsoFails: ['SHARD-121'],
  definition: brokenWriter(MEMORY, (writer) => ({
    append: async (batches, options) => {
      if (batches.some(({ length }) => length > 4_000_000)) throw new StorageError('BATCH_TOO_LARGE', 'after all');
      return await writer.append(batches, options);
    },
  })),
};

export default mutant.definition;
