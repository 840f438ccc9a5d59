import { isStorageError } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'answers a listing after it was closed (a wrapper)',
  incident: 'A sweeper that outlives its engine, sees an empty list, and concludes that everything may go',
  stage: 'engine',
  caughtBy: 'SHARD-131',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) => ({
    list: (options) =>
      engine.list(options).catch((error) => (isStorageError(error, 'CLOSED') ? [] : Promise.reject(error))),
  }),
};

export default mutant.definition;
