import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

const BYTES = 6;

export const mutant: Mutant = {
  name: 'keeps the offsets of its time index in 48 bits',
  incident:
    "Node's writeUIntBE takes six bytes at most: whoever gives an offset those six has cut it, and no small log shows it",
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
