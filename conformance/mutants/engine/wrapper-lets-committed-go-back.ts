import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'lets committed go back while appends are in flight (a wrapper)',
  incident:
    "Kafka's high watermark went back with a change of leader (KIP-101), and followers cut what was acknowledged",
  stage: 'engine',
  caughtBy: 'SHARD-032',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) =>
    wrongWriter(engine, (writer) => {
      let inFlight = 0;
      let looks = 0;
      return {
        append: async (batches, options) => {
          inFlight++;
          return await writer.append(batches, options).finally(() => inFlight--);
        },
        offsets: () => {
          const now = writer.offsets();
          const back = inFlight > 0 && ++looks % 2 === 0 ? 1 : 0;
          return { ...now, committed: Math.max(now.base, now.committed - back) };
        },
      };
    }),
};

export default mutant.definition;
