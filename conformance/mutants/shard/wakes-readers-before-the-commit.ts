import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'wakes readers before the commit',
  incident:
    'KAFKA-14334: a long poll at a follower was not looked at when the records had come, and slept through what it waited for',
  stage: 'shard',
  caughtBy: 'SHARD-162',
  // a reader that waits long is given nothing, too
  alsoFails: ['SHARD-273'],
  definition: MEMORY,
  shard: (shard) => {
    let wake: () => void = () => {};
    return {
      append: (batches, options) => {
        const appending = shard.append(batches, options);
        wake();
        return appending;
      },
      read: async (from, options) => {
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const early = async (): ReturnType<typeof shard.read> => {
          await woken;
          return await shard.read(from, { maxBytes: options.maxBytes });
        };
        return await (options.maxWaitMs === undefined
          ? shard.read(from, options)
          : Promise.race([shard.read(from, options), early()]));
      },
    };
  },
};

export default mutant.definition;
