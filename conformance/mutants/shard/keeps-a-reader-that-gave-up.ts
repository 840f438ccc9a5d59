import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'keeps a reader that has given up until its time is up',
  incident: 'KAFKA-6529: clients that hung up while they were served were kept, each with its requests and its socket',
  stage: 'shard',
  caughtBy: 'SHARD-273',
  alsoFails: [],
  definition: MEMORY,
  shard: (shard) => ({
    read: (from, { signal: _, ...options }) => shard.read(from, options),
  }),
};

export default mutant.definition;
