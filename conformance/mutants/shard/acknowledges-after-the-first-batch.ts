import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'acknowledges an append of several batches after the first',
  incident: 'A loop over batches that answers with the first result: of a transaction only the beginning is there',
  stage: 'shard',
  caughtBy: 'SHARD-010',
  alsoFails: [],
  definition: MEMORY,
  shard: (shard) => ({
    append: (batches, options) => shard.append(batches.length === 5 ? batches.slice(0, 1) : batches, options),
  }),
};

export default mutant.definition;
