import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'believes that timestamps are sorted',
  incident:
    'Redpanda #6604: a query by time skipped records once clients set the times themselves: a replay from a moment misses what came late',
  stage: 'engine',
  caughtBy: 'SHARD-082',
  alsoFails: ['SHARD-080'],
  definition: brokenWriter(MEMORY, (writer) => ({
    offsetForTimestamp: async (timestamp) => {
      let low = writer.offsets().base;
      let high = writer.offsets().committed;
      while (low < high) {
        const middle = low + Math.floor((high - low) / 2);
        const { bytes } = await writer.read(middle, { maxBytes: 1 });
        if (Number(Buffer.from(bytes).readBigInt64BE(35)) < timestamp) low = middle + 1;
        else high = middle;
      }
      return low < writer.offsets().committed ? low : undefined;
    },
  })),
};

export default mutant.definition;
