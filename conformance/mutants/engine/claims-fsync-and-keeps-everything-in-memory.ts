import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'claims fsync and keeps everything in memory',
  incident:
    'kafka-docker #517: each new container made itself a log directory of a new name, and what the one before had kept was gone',
  stage: 'engine',
  caughtBy: 'SHARD-020',
  // whatever asks for something behind a restart
  // and knows ten thousand segments again
  alsoFails: [
    'SHARD-011',
    'SHARD-021',
    'SHARD-022',
    'SHARD-023',
    'SHARD-026',
    'SHARD-043',
    'SHARD-051',
    'SHARD-054',
    'SHARD-055',
    'SHARD-066',
    'SHARD-103',
    'SHARD-112',
    'SHARD-127',
    'SHARD-251',
  ],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  // an incarnation of the medium, or it would not even open again
  definition: broken(MEMORY, () => ({ incarnation: 'the-same' }), { durability: 'fsync' }),
};

export default mutant.definition;
