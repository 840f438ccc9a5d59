import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'fails when it may make no request',
  incident: 'Housekeeping that treats an empty budget as an error: the node is marked as failed because it is idle',
  stage: 'engine',
  caughtBy: 'SHARD-143',
  alsoFails: [],
  definition: broken(MEMORY, () => ({
    maintain: async ({ requestBudget }) => {
      if (requestBudget < 1) throw new Error('not enough');
    },
  })),
};

export default mutant.definition;
