import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'repeats the first batch behind a border of segments',
  incident: 'Redpanda #14911: segments that were merged meanwhile were uploaded as [0, 25) and [20, 30)',
  stage: 'shard',
  caughtBy: 'SHARD-164',
  // each of them reads across segments
  alsoFails: ['SHARD-001', 'SHARD-074'],
  definition: oneFile(),
  shard: (shard) => ({
    read: async (from, options) => {
      const read = await shard.read(from, options);
      const borders = (await shard.segments()).map(({ base }) => base);
      const [first] = read.chunks;
      if (from === 0 || first === undefined || !borders.includes(from)) return read;
      return { ...read, chunks: [first, ...read.chunks], bytes: read.bytes + first.length };
    },
  }),
};

export default mutant.definition;
