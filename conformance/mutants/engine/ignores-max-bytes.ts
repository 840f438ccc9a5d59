import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'ignores maxBytes',
  incident: 'Pulsar #6692: offloaded segments were read ahead without a bound until the process was out of memory',
  stage: 'engine',
  caughtBy: 'SHARD-071',
  // asks for one batch by a limit of one byte
  // and one of its crowd is read slowly
  alsoFails: ['SHARD-070', 'SHARD-250'],
  definition: brokenWriter(MEMORY, (writer) => ({ read: (from) => writer.read(from, { maxBytes: 2 ** 30 }) })),
};

export default mutant.definition;
