import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'lets a second writer in',
  incident: 'A log that is opened for writing again after its end was settled: acknowledged records are written over',
  stage: 'engine',
  caughtBy: 'SHARD-054',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({
    create: async (id, options) => {
      await engine.delete(id);
      return await engine.create(id, options);
    },
  })),
};

export default mutant.definition;
