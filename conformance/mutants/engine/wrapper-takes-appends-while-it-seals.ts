import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes appends until what was in flight at its seal has settled (a wrapper)',
  incident:
    'BookKeeper #4812: an entry was acknowledged on a ledger that recovery had closed below it, and was lost without a word',
  stage: 'engine',
  caughtBy: 'SHARD-090',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) =>
    wrongWriter(engine, (writer) => ({
      seal: async () => {
        await writer.flush();
        return await writer.seal();
      },
    })),
};

export default mutant.definition;
