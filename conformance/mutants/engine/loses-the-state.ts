import { brokenReader, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'loses the state of a sealed segment',
  incident:
    'Tansu wrote what it knew of producers apart from the data: after a crash in between a retry was dropped, or stored twice',
  stage: 'engine',
  caughtBy: 'SHARD-023',
  // of what was taken in, and of the largest size: the same reader
  alsoFails: ['SHARD-060', 'SHARD-125'],
  definition: brokenReader(MEMORY, () => ({ state: async () => new Uint8Array(0) })),
};

export default mutant.definition;
