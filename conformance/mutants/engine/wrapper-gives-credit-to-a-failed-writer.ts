import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives credit to a writer that has failed (a wrapper)',
  incident:
    'Pulsar #11737: producers came back to a topic that stayed fenced, were refused, and came back, without end',
  stage: 'engine',
  caughtBy: 'SHARD-290',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) => wrongWriter(engine, (writer) => ({ ready: (bytes) => writer.ready(bytes)?.catch(() => {}) })),
};

export default mutant.definition;
