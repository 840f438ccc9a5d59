import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'applies what was aborted before it was called',
  incident:
    'dotnet-activemq-artemis-client #277: a send whose token had expired while it waited went out all the same: with the next try there were two',
  stage: 'shard',
  caughtBy: 'SHARD-123',
  // one of its refused appends is aborted
  alsoFails: ['SHARD-012'],
  definition: MEMORY,
  shard: (shard) => ({ append: (batches) => shard.append(batches) }),
};

export default mutant.definition;
