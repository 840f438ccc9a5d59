import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'recovers a segment without a record to offset 0',
  incident:
    'nats-server #2068: a stream whose messages had all been consumed came back from kill -9 with its sequence at 0',
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
