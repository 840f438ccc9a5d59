import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives a smaller end at the second recovery',
  incident:
    'InfluxDB #522: commits to a log that was being replayed moved the list of its files: the replay was off by one of them, then by two',
  stage: 'engine',
  caughtBy: 'SHARD-050',
  // each of them recovers twice
  alsoFails: ['SHARD-040', 'SHARD-042', 'SHARD-044', 'SHARD-045', 'SHARD-290'],
  definition: broken(MEMORY, (engine) => {
    const recovered = new Map<string, number>();
    return {
      recover: async (id, options) => {
        const { end } = await engine.recover(id, options);
        recovered.set(id, (recovered.get(id) ?? -1) + 1);
        return { end: Math.max(0, end - Math.min(1, recovered.get(id) ?? 0)) };
      },
    };
  }),
};

export default mutant.definition;
