import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'returns a buffer that it uses again for the next read',
  incident:
    'KAFKA-19012: the producer put a buffer back into its pool while the network still sent from it: what went out was other data',
  stage: 'engine',
  caughtBy: 'SHARD-076',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => {
    let pooled = new Uint8Array(0);
    return {
      append: (batches, options) => {
        pooled.fill(0, 0, 100);
        return writer.append(batches, options);
      },
      read: async (from, options) => {
        const { bytes, next } = await writer.read(from, options);
        pooled = Uint8Array.from(bytes);
        return { bytes: pooled, next };
      },
    };
  }),
};

export default mutant.definition;
