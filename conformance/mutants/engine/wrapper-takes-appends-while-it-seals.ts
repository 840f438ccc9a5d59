import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes appends until what was in flight at its seal has settled (a wrapper)',
  incident:
    'A flush and then a seal, with room for another append between them: it slips into a segment whose end was given out',
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
