import { StorageError } from '@robustmq/core';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'refuses a segment in which nothing is left',
  incident: 'Pulsar #6795: where every key had been deleted compaction failed, and readers went on to get all of it',
  stage: 'engine',
  caughtBy: 'SHARD-065',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({
    ingest: async (id, options, batches) => {
      const result = await engine.ingest(id, options, batches);
      if (result.bytes > 0) return result;
      await engine.delete(id);
      throw new StorageError('INVALID_ARGUMENT', 'There is nothing in it');
    },
  })),
};

export default mutant.definition;
