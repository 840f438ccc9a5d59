import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'repeats an id at the edge of a page',
  incident:
    'SeaweedFS #10496: on buckets with versions a listing went on at the last key instead of behind it: whoever counts or sweeps by it is wrong',
  stage: 'engine',
  caughtBy: 'SHARD-102',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({
    list: async (options) => {
      const page = await engine.list(options);
      return options.after === undefined ? page : [options.after, ...page].slice(0, options.limit);
    },
  })),
};

export default mutant.definition;
