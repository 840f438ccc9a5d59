import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

const kept: Buffer[] = [];

export const mutant: Mutant = {
  name: 'holds what was appended after it was closed',
  incident: 'A cache that nobody empties: found weeks later, by the kernel, in the middle of the night',
  stage: 'engine',
  caughtBy: 'SHARD-135',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => ({
    append: (batches, options) => {
      for (const { length } of batches) kept.push(Buffer.alloc(Math.min(3 * length, 100_000), 1));
      return writer.append(batches, options);
    },
  })),
};

export default mutant.definition;
