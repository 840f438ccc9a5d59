import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'damages eight bytes in the middle of a large batch',
  incident:
    'nats-server #2241: a header that was extended was written into a buffer which held more than that: the payload came out damaged',
  stage: 'engine',
  caughtBy: 'SHARD-001',
  // each of them reads batches of more than 1000 bytes
  // and its crowd writes batches of more than 1000 bytes
  alsoFails: ['SHARD-010', 'SHARD-071', 'SHARD-074', 'SHARD-077', 'SHARD-120', 'SHARD-250', 'SHARD-289', 'SHARD-291'],
  definition: brokenWriter(MEMORY, (writer) => ({
    append: (batches, options) =>
      writer.append(
        batches.map((bytes) => {
          const copy = Buffer.from(bytes);
          if (copy.length > 1000) copy.fill(0, copy.length >> 1, (copy.length >> 1) + 8);
          return copy;
        }),
        options,
      ),
  })),
};

export default mutant.definition;
