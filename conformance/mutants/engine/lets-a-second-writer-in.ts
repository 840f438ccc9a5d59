import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'lets a second writer in',
  incident: 'Cilium #44886: to open a log for writing emptied it: entries that nobody wrote again were gone',
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
