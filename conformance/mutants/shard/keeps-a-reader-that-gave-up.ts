import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'keeps a reader that has given up until its time is up',
  incident:
    'Long polls of clients that are gone, each kept with its timer and its buffers: memory grows with every disconnect',
  stage: 'shard',
  caughtBy: 'SHARD-273',
  alsoFails: [],
  definition: MEMORY,
  shard: (shard) => ({
    read: (from, { signal: _, ...options }) => shard.read(from, options),
  }),
};

export default mutant.definition;
