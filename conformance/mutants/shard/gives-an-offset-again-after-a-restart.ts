import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives offsets again after a restart',
  incident:
    'nats-server #1721: once all its messages were deleted, a stream forgot over a restart which sequence came next',
  stage: 'shard',
  caughtBy: 'SHARD-160',
  // also of a log that was trimmed empty
  alsoFails: ['SHARD-163'],
  definition: MEMORY,
  shard: (shard, life) => {
    let start: number | undefined;
    return {
      append: async (batches, options) => {
        const appended = await shard.append(batches, options);
        start ??= appended.base;
        return life === 0 ? appended : { ...appended, base: appended.base - start, next: appended.next - start };
      },
    };
  },
};

export default mutant.definition;
