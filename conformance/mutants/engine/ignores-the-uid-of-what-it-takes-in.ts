import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'ignores the uid of what it takes in',
  incident:
    'SlateDB #766 seen from the other side: who can not tell his own success from a stranger takes one for the other',
  stage: 'engine',
  caughtBy: 'SHARD-063',
  // of two that arrive at once, too
  alsoFails: ['SHARD-271'],
  definition: broken(MEMORY, (engine) => ({
    ingest: (id, options, batches) => engine.ingest(id, { ...options, uid: 'same' }, batches),
  })),
};

export default mutant.definition;
