import { viewOf, writeCrc } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'knows no producer of before its restart',
  incident: 'nats-server #3272: an id that was known as a repeat, also after a purge, was stored again after a restart',
  stage: 'shard',
  caughtBy: 'SHARD-152',
  // each sends again after a restart what was stored before it
  alsoFails: ['SHARD-170', 'SHARD-285'],
  definition: oneFile(),
  shard: (shard, life) => {
    let before: number | undefined;
    return {
      append: async (batches, options) => {
        before ??= (await shard.offsets()).committed;
        const own = batches.map((bytes) => bytes.slice());
        const appended = await shard.append(batches, options);
        if (life === 0 || !appended.duplicate || appended.next > before) return appended;
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
