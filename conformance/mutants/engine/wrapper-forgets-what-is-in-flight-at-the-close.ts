import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'leaves appends unsettled when it is closed (a wrapper)',
  incident:
    'Pulsar #23761: a producer was closed while its broker was away: what it had sent was neither done nor failed, for ever',
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
