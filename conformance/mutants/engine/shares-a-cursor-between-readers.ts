import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'shares a cursor between reads',
  incident: 'Pulsar #18723: two readers of one offloaded ledger moved a position that they had in common',
  stage: 'engine',
  caughtBy: 'SHARD-074',
  // reads while other appends settle
  alsoFails: ['SHARD-033', 'SHARD-291'],
  definition: brokenWriter(MEMORY, (writer) => {
    let cursor = 0;
    return {
      read: async (from, options) => {
        cursor = from;
        await null;
        return await writer.read(cursor, options);
      },
    };
  }),
};

export default mutant.definition;
