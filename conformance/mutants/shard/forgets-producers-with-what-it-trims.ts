import { viewOf, writeCrc } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'forgets a producer with the last of its batches that is trimmed',
  incident:
    'Kafka before KIP-360: with the last records of a producer its sequence went, too, and its next batch met UNKNOWN_PRODUCER_ID',
  stage: 'shard',
  caughtBy: 'SHARD-285',
  alsoFails: [],
  definition: oneFile(),
  shard: (shard) => {
    let trimmed = 0;
    return {
      trim: async (before) => {
        trimmed = await shard.trim(before);
        return trimmed;
      },
      append: async (batches, options) => {
        const own = batches.map((bytes) => bytes.slice());
        const appended = await shard.append(batches, options);
        if (!appended.duplicate || appended.next > trimmed) return appended;
        for (const bytes of own) {
          viewOf(bytes).setBigInt64(43, -1n);
          writeCrc(bytes);
        }
        return await shard.append(own, options);
      },
    };
  },
};

export default mutant.definition;
