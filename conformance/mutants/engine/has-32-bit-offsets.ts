import { brokenReader, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'keeps the distance to the base in 32 bits',
  incident:
    'AutoMQ #3336: a 32-bit distance overflowed in a sparse compacted log, the block looked expired, live data was deleted',
  stage: 'engine',
  caughtBy: 'SHARD-064',
  alsoFails: [],
  definition: brokenReader(MEMORY, (reader) => ({
    read: (from, options) => reader.read(reader.offsets().base + ((from - reader.offsets().base) >>> 0), options),
  })),
};

export default mutant.definition;
