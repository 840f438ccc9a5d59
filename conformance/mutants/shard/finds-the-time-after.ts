import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'finds the record after the one of a time',
  incident: 'Tansu answered ListOffsets by timestamp wrongly; who replays from a moment loses that moment',
  stage: 'shard',
  caughtBy: 'SHARD-080',
  alsoFails: [],
  definition: MEMORY,
  shard: (shard) => ({ offsetForTimestamp: (timestamp) => shard.offsetForTimestamp(timestamp + 1) }),
};

export default mutant.definition;
