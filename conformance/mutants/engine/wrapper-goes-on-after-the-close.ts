import { isStorageError } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'answers a listing after it was closed (a wrapper)',
  incident:
    'SnappyMail #2060: a listing that was empty by a fault was believed, and contacts were deleted on the strength of it',
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
