import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'gives the last batch again to who reads at the end and does not wait',
  incident: 'nats-server #1580: whenever a durable consumer came back it was given the last stored message again',
  stage: 'shard',
  caughtBy: 'SHARD-072',
  alsoFails: [],
  definition: oneFile(),
  shard: (shard) => ({
    read: async (from, options) => {
      const read = await shard.read(from, options);
      const { committed, logStart } = read.offsets;
      if (read.bytes > 0 || options.maxWaitMs !== undefined || from !== committed || committed === logStart)
        return read;
      return await shard.read(from - 1, { maxBytes: options.maxBytes });
    },
  }),
};

export default mutant.definition;
