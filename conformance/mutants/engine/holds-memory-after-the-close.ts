import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

const kept: Buffer[] = [];

export const mutant: Mutant = {
  name: 'holds what was appended after it was closed',
  incident:
    'Sarama #1607: what the open of a broker had registered was not cleared by its close, and each round held some more memory',
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
