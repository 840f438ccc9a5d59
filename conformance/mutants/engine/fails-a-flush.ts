import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'fails a flush when all is well',
  incident: 'fluent-bit #5593: at a shutdown 5000 messages were still in the queue of its Kafka output, and were lost',
  stage: 'engine',
  caughtBy: 'SHARD-094',
  alsoFails: [],
  definition: brokenWriter(MEMORY, () => ({ flush: () => Promise.reject(new Error('no')) })),
};

export default mutant.definition;
