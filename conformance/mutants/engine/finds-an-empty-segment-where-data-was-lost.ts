import { isStorageError } from '@robustmq/core';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'finds an empty segment where data was lost',
  incident:
    'BookKeeper #2612, BP-46: a replica with an emptied disk said "no such entry", and acknowledged entries were given up',
  stage: 'engine',
  caughtBy: 'SHARD-024',
  // what was never there, or was deleted, is lost to an engine in memory
  alsoFails: ['SHARD-053', 'SHARD-100'],
  definition: broken(MEMORY, (engine) => ({
    recover: (id, options) =>
      engine.recover(id, options).catch((error: unknown) => {
        if (isStorageError(error, 'SEGMENT_LOST')) return { end: 0 };
        throw error;
      }),
  })),
};

export default mutant.definition;
