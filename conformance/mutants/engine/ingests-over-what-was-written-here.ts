import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'ingests over a segment that was written here',
  incident:
    'Guava #515, Bun #20462: a file that was copied onto itself was emptied first. A copy whose key is that of the original destroys what it is made from',
  stage: 'engine',
  caughtBy: 'SHARD-068',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => {
    const written = new Set<string>();
    return {
      create: async (id, options) => {
        written.add(id);
        return await engine.create(id, options);
      },
      ingest: async (id, options, batches) => {
        if (written.has(id)) await engine.delete(id);
        return await engine.ingest(id, options, batches);
      },
    };
  }),
};

export default mutant.definition;
