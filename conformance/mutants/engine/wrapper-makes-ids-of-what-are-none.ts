import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes an id with capitals for the one without (a wrapper)',
  incident:
    'ArangoDB #1441: two collections whose names differ in capitals alone were one file in a dump on Windows, and one of them was lost',
  stage: 'engine',
  caughtBy: 'SHARD-126',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) => ({ create: (id, options) => engine.create(id.toLowerCase(), options) }),
};

export default mutant.definition;
