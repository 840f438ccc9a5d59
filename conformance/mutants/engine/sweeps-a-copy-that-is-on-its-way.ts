import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'sweeps away a copy that is on its way',
  incident:
    'SlateDB RFC-29: what was uploaded and not published yet looks like garbage to a collector that goes by the time of its name',
  stage: 'engine',
  caughtBy: 'SHARD-279',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => {
    const arriving = new Set<string>();
    const swept = new Set<string>();
    return {
      ingest: async (id, options, batches) => {
        arriving.add(id);
        const result = await engine.ingest(id, options, batches).finally(() => arriving.delete(id));
        // its pointer leads nowhere
        if (swept.delete(id)) await engine.delete(id);
        return result;
      },
      maintain: async ({ requestBudget }) => {
        if (requestBudget > 0) for (const id of arriving) swept.add(id);
      },
    };
  }),
};

export default mutant.definition;
