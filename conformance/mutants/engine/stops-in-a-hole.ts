import { brokenReader, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives nothing for an offset in a hole',
  incident:
    'KafkaJS #562, ruby-kafka #555: consumers stood still for good at an offset whose record had been compacted away',
  stage: 'engine',
  caughtBy: 'SHARD-064',
  alsoFails: [],
  definition: brokenReader(MEMORY, (reader) => ({
    read: async (from, options) => {
      const read = await reader.read(from, options);
      const base = read.bytes.length === 0 ? from : Number(Buffer.from(read.bytes).readBigInt64BE(0));
      return base > from ? { bytes: new Uint8Array(0), next: reader.offsets().end } : read;
    },
  })),
};

export default mutant.definition;
