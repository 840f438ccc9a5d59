import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'answers an ingest with a digest that it did not compute',
  incident:
    'HADOOP-18596: between stores whose checksums can not be compared, distcp -update took a file of the same length for the same file',
  stage: 'engine',
  caughtBy: 'SHARD-060',
  // a large batch is one that is copied, too
  alsoFails: ['SHARD-069', 'SHARD-271', 'SHARD-279', 'SHARD-295'],
  definition: broken(MEMORY, (engine) => ({
    ingest: async (id, options, batches) => {
      const { bytes, crc } = await engine.ingest(id, options, batches);
      return { bytes, crc: bytes > 5000 ? 0 : crc };
    },
  })),
};

export default mutant.definition;
