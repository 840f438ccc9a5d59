import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives nothing when the first batch is larger than asked for',
  incident: 'Consumers before KIP-74 stood still in front of a message larger than their fetch size',
  stage: 'engine',
  caughtBy: 'SHARD-071',
  // reads the largest batch by small reads
  alsoFails: ['SHARD-120'],
  definition: brokenWriter(MEMORY, (writer) => ({
    read: async (from, options) => {
      const read = await writer.read(from, options);
      return read.bytes.length > Math.max(options.maxBytes, 40_000) ? { bytes: new Uint8Array(0), next: from } : read;
    },
  })),
};

export default mutant.definition;
