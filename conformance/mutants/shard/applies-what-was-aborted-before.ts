import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'applies what was aborted before it was called',
  incident: 'A request that had timed out in the queue is sent all the same; its client has sent it again long since',
  stage: 'shard',
  caughtBy: 'SHARD-123',
  // one of its refused appends is aborted
  alsoFails: ['SHARD-012'],
  definition: MEMORY,
  shard: (shard) => ({ append: (batches) => shard.append(batches) }),
};

export default mutant.definition;
