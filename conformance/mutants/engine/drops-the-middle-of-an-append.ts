import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'drops the batch in the middle of an append',
  incident: 'A batch of several parts that is copied part by part, and loses one at a boundary that no test had',
  stage: 'engine',
  caughtBy: 'SHARD-010',
  // begins with an append of four batches
  alsoFails: ['SHARD-071'],
  definition: brokenWriter(MEMORY, (writer) => ({
    append: (batches, options) =>
      writer.append(batches.length < 3 ? batches : batches.filter((_, i) => i !== batches.length >> 1), options),
  })),
};

export default mutant.definition;
