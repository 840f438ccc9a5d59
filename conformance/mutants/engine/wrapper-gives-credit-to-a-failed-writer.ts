import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives credit to a writer that has failed (a wrapper)',
  incident:
    'A window that was opened again by the failure that emptied it: a shard sends for ever what is refused for ever',
  stage: 'engine',
  caughtBy: 'SHARD-290',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) => wrongWriter(engine, (writer) => ({ ready: (bytes) => writer.ready(bytes)?.catch(() => {}) })),
};

export default mutant.definition;
