import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'fails a flush when all is well',
  incident: 'A drain at shutdown that gives up early: the last acknowledgements never reach their clients',
  stage: 'engine',
  caughtBy: 'SHARD-094',
  alsoFails: [],
  definition: brokenWriter(MEMORY, () => ({ flush: () => Promise.reject(new Error('no')) })),
};

export default mutant.definition;
