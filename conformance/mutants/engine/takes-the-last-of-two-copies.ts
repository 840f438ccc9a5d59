import { isStorageError } from '@robustmq/core';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'lets the last of several copies that arrive at once win',
  incident:
    'Object stores whose conditional put is a look and then a put: 2 to 32 of 32 that raced were told that they had won (VersityGW #2288)',
  stage: 'engine',
  caughtBy: 'SHARD-271',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({
    ingest: async (id, options, batches) => {
      const free = (await engine.list({ prefix: id, limit: 1 }))[0] !== id;
      const all: Uint8Array[] = [];
      for await (const chunk of batches) all.push(chunk);
      try {
        return await engine.ingest(id, options, each(all));
      } catch (error) {
        if (!free || !isStorageError(error, 'SEGMENT_EXISTS')) throw error;
        await engine.delete(id);
        return await engine.ingest(id, options, each(all));
      }
    },
  })),
};

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

export default mutant.definition;
