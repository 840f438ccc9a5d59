import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'applies an append that was aborted before it was called (a wrapper)',
  incident: 'A request that had timed out in the queue is sent all the same; its client has sent it again long since',
  stage: 'engine',
  caughtBy: 'SHARD-123',
  // one of its refused appends is aborted
  alsoFails: ['SHARD-012'],
  definition: MEMORY,
  wrapper: (engine) =>
    wrongWriter(engine, (writer) => ({ append: (batches, { base }) => writer.append(batches, { base }) })),
};

export default mutant.definition;
