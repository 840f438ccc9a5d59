import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'serves readers of open segments',
  incident:
    'Pravega #1900: ledgers that nobody had closed were read as they were, and not all that had been acknowledged was found in them',
  stage: 'engine',
  caughtBy: 'SHARD-092',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({
    openReader: async (id) => {
      await engine.recover(id, { epoch: 1000 });
      return await engine.openReader(id);
    },
  })),
};

export default mutant.definition;
