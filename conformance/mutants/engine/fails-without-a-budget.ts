import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'fails when it may make no request',
  incident:
    'IoTDB #11774: a rate limit below 0, meant as none, made the limiter of compactions throw: housekeeping failed over what it may spend',
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
