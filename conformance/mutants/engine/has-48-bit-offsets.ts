import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

const BYTES = 6;

export const mutant: Mutant = {
  name: 'keeps the offsets of its time index in 48 bits',
  incident:
    "Redpanda #4035: an index had 32 bits for its times, and nothing said that they would fit. Node's writeUIntBE tempts to six bytes for an offset",
  stage: 'engine',
  caughtBy: 'SHARD-005',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => ({
    offsetForTimestamp: async (timestamp) => {
      const offset = await writer.offsetForTimestamp(timestamp);
      return offset === undefined ? undefined : offset % 2 ** (8 * BYTES);
    },
  })),
};

export default mutant.definition;
