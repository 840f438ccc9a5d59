import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'serves readers of open segments',
  incident:
    'A reader beside the owner takes what it finds for the end, and misses or invents records of the last second',
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
