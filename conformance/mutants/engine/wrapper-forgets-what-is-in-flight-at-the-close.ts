import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'leaves appends unsettled when it is closed (a wrapper)',
  incident: 'A shutdown that waits for a promise nobody settles any more, until somebody sends kill -9',
  stage: 'engine',
  caughtBy: 'SHARD-130',
  alsoFails: ['SHARD-272'],
  definition: MEMORY,
  wrapper: (engine) => {
    let closed = false;
    return {
      ...wrongWriter(engine, (writer) => ({
        append: async (batches, options) => {
          const appended = await writer.append(batches, options);
          return closed ? await new Promise(() => {}) : appended;
        },
      })),
      close: async () => {
        closed = true;
        await engine.close();
      },
    };
  },
};

export default mutant.definition;
