import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'leaves a timer behind when it is closed',
  incident: 'A retry that fires a minute after the close, and works on files that belong to somebody else by then',
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
