import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'skips to the next batch for an offset inside one',
  incident: 'Tansu looked for a batch that begins at the offset asked for: a consumer inside of one waited for ever',
  stage: 'engine',
  caughtBy: 'SHARD-070',
  // asks for every offset of batches of several records
  alsoFails: ['SHARD-077'],
  definition: brokenWriter(MEMORY, (writer) => ({
    read: async (from, options) => {
      const read = await writer.read(from, options);
      const base = read.bytes.length === 0 ? from : Number(Buffer.from(read.bytes).readBigInt64BE(0));
      return base < from && read.next < writer.offsets().committed ? await writer.read(read.next, options) : read;
    },
  })),
};

export default mutant.definition;
