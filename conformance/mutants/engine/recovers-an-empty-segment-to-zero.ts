import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'recovers a segment without a record to offset 0',
  incident:
    'An end that is one past the last record, or 0 when there is none: an owner that falls right after a roll begins again',
  stage: 'engine',
  caughtBy: 'SHARD-052',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => {
    const bases = new Map<string, number>();
    return {
      create: async (id, options) => {
        const writer = await engine.create(id, options);
        bases.set(id, options.base);
        return writer;
      },
      recover: async (id, options) => {
        const { end } = await engine.recover(id, options);
        return { end: end === bases.get(id) ? 0 : end };
      },
    };
  }),
};

export default mutant.definition;
