import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'does not delete',
  incident: 'Aiven #590, KAFKA-17428: objects of failed and expired copies stayed in the bucket, and on the bill',
  stage: 'engine',
  caughtBy: 'SHARD-100',
  // of a writer whose segment is deleted
  // and one of its crowd is deleted
  // and one was deleted before the housekeeping: it can still be read after it
  alsoFails: ['SHARD-101', 'SHARD-250', 'SHARD-279'],
  definition: broken(MEMORY, () => ({ delete: async () => {} })),
};

export default mutant.definition;
