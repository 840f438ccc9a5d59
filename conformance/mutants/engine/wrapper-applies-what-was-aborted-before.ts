import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'applies an append that was aborted before it was called (a wrapper)',
  incident:
    'vscode-languageserver-node #1282: a request whose token had been cancelled before the call was sent all the same',
  stage: 'engine',
  caughtBy: 'SHARD-123',
  // one of its refused appends is aborted
  alsoFails: ['SHARD-012'],
  definition: MEMORY,
  wrapper: (engine) =>
    wrongWriter(engine, (writer) => ({ append: (batches, { base }) => writer.append(batches, { base }) })),
};

export default mutant.definition;
