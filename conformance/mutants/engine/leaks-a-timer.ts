import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'leaves a timer behind when it is closed',
  incident:
    'no-kafka #90: a timer of a connection outlived its end, and kept a process alive for seconds that had nothing left to do',
  stage: 'engine',
  caughtBy: 'SHARD-134',
  // counts the timers of a crowd
  alsoFails: ['SHARD-251'],
  definition: {
    ...MEMORY,
    open: async (ctx) => {
      ctx.clock.timer(60_000, () => {});
      return await MEMORY.open(ctx);
    },
  },
};

export default mutant.definition;
