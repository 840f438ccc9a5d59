import { viewOf, writeCrc } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'stores the repeat of a producer again',
  incident:
    'A producer that saw no answer sends again: without its sequence the log has the record twice. Kafka before KIP-98',
  stage: 'shard',
  caughtBy: 'SHARD-150',
  // neither gaps nor old epochs are seen without a producer, and no repeat across a restart
  alsoFails: ['SHARD-151', 'SHARD-282', 'SHARD-283', 'SHARD-284'],
  definition: MEMORY,
  shard: (shard) => ({
    append: (batches, options) => {
      for (const bytes of batches)
        if (bytes.length > 61 && viewOf(bytes).getBigInt64(43) >= 0) {
          viewOf(bytes).setBigInt64(43, -1n);
          writeCrc(bytes);
        }
      return shard.append(batches, options);
    },
  }),
};

export default mutant.definition;
