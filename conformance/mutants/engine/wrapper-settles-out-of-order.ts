import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'settles appends out of order (a wrapper)',
  incident:
    'pulsar-client-go #335: a producer that counts on acknowledgements in their order stood still at the first that was out of it',
  stage: 'engine',
  caughtBy: 'SHARD-002',
  // a flush is over before what was held back
  alsoFails: ['SHARD-094'],
  definition: MEMORY,
  wrapper: (engine) =>
    wrongWriter(engine, (writer) => ({
      append: async (batches, options) => {
        const appended = await writer.append(batches, options);
        if (appended.next % 10 === 1) await new Promise((resolve) => setImmediate(resolve));
        return appended;
      },
    })),
};

export default mutant.definition;
