import { isStorageError, viewOf, writeCrc } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'stores a repeat as new that is older than what it remembers',
  incident:
    'KAFKA-14034: a reset of the sequences gave batches that were being sent again a new identity, and the broker a reason to store them twice',
  stage: 'shard',
  caughtBy: 'SHARD-284',
  alsoFails: [],
  definition: MEMORY,
  shard: (shard) => {
    let newest = -1;
    return {
      append: (batches, options) => {
        const [bytes] = batches;
        const sequence = bytes !== undefined && bytes.length > 61 ? viewOf(bytes).getInt32(53) : -1;
        const old = sequence >= 0 && sequence < newest && newest < 1000;
        newest = Math.max(newest, sequence);
        return shard.append(batches, options).catch((error: unknown) => {
          if (bytes === undefined || !old || !isStorageError(error, 'SEQUENCE_GAP')) throw error;
          viewOf(bytes).setBigInt64(43, -1n);
          writeCrc(bytes);
          return shard.append(batches, options);
        });
      },
    };
  },
};

export default mutant.definition;
