import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'finds a time in what was trimmed',
  incident:
    'Redpanda #18112: a query by time gave an offset from below a trim, and consumers that began there were stuck out of range',
  stage: 'shard',
  // each call alone is right: only a look for a time behind a trim is not, and nothing but chance asks for both
  caughtBy: 'SHARD-231',
  alsoFails: [],
  definition: oneFile(),
  shard: (shard) => {
    let start = 0;
    return {
      trim: async (before) => {
        start = await shard.trim(before);
        return start;
      },
      offsetForTimestamp: async (timestamp) => {
        const found = await shard.offsetForTimestamp(timestamp);
        return found === undefined || start === 0 || found.offset > start ? found : { ...found, offset: start - 1 };
      },
    };
  },
};

export default mutant.definition;
