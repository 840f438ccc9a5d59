import { brokenReader, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'finds the first batch after a time instead of at it',
  incident:
    'Tansu answered ListOffsets by timestamp wrongly; one off, and a consumer that resumes at a time loses the record of that very time',
  stage: 'engine',
  caughtBy: 'SHARD-081',
  // asks the same of many batches
  alsoFails: ['SHARD-082'],
  definition: brokenReader(MEMORY, (reader) => ({
    offsetForTimestamp: (timestamp) => reader.offsetForTimestamp(timestamp + 1),
  })),
};

export default mutant.definition;
