import { isStorageError, viewOf, writeCrc } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes a gap in the sequence of a producer',
  incident:
    'KAFKA-15591: of a producer that it did not know a broker took any first sequence: the batch before it, still on its way, was lost',
  stage: 'shard',
  caughtBy: 'SHARD-151',
  // a repeat that is too old is a gap seen from behind
  alsoFails: ['SHARD-282', 'SHARD-284'],
  definition: MEMORY,
  shard: (shard) => ({
    append: (batches, options) =>
      shard.append(batches, options).catch((error: unknown) => {
        const [bytes] = batches;
        if (bytes === undefined || !isStorageError(error, 'SEQUENCE_GAP')) throw error;
        viewOf(bytes).setBigInt64(43, -1n);
        writeCrc(bytes);
        return shard.append(batches, options);
      }),
  }),
};

export default mutant.definition;
