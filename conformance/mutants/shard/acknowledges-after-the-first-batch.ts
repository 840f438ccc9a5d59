import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'acknowledges an append of several batches after the first',
  incident:
    'Logstash #1631: the answer to a bulk request was 200, also if some of it had been refused, and the rejected documents were lost',
  stage: 'shard',
  caughtBy: 'SHARD-010',
  alsoFails: [],
  definition: MEMORY,
  shard: (shard) => ({
    append: (batches, options) => shard.append(batches.length === 5 ? batches.slice(0, 1) : batches, options),
  }),
};

export default mutant.definition;
