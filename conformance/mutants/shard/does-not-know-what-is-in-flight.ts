import { viewOf, writeCrc } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'knows of a producer only what has landed',
  incident:
    'Mastodon #37879: an idempotency key counted once the first request was done with: a repeat that came before was posted again',
  stage: 'shard',
  caughtBy: 'SHARD-283',
  alsoFails: [],
  definition: MEMORY,
  shard: (shard) => {
    const flying = new Set<string>();
    return {
      append: async (batches, options) => {
        const keys = batches.flatMap((bytes) => (bytes.length > 61 ? [keyOf(bytes)] : []));
        for (const bytes of batches)
          if (bytes.length > 61 && flying.has(keyOf(bytes))) {
            viewOf(bytes).setBigInt64(43, -1n);
            writeCrc(bytes);
          }
        for (const key of keys) if (!key.startsWith('-')) flying.add(key);
        try {
          return await shard.append(batches, options);
        } finally {
          for (const key of keys) flying.delete(key);
        }
      },
    };
  },
};

/** Producer, epoch, sequence. */
function keyOf(bytes: Uint8Array): string {
  const view = viewOf(bytes);
  return `${view.getBigInt64(43)}/${view.getInt16(51)}/${view.getInt32(53)}`;
}

export default mutant.definition;
