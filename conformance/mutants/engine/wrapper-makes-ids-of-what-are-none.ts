import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes an id with capitals for the one without (a wrapper)',
  incident: 'File systems that know no capitals: two names at the door, one file behind it, and on another machine two',
  stage: 'engine',
  caughtBy: 'SHARD-126',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) => ({ create: (id, options) => engine.create(id.toLowerCase(), options) }),
};

export default mutant.definition;
