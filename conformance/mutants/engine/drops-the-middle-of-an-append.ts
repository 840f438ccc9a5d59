import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'drops the batch in the middle of an append',
  incident:
    'SlimMessageBus #426: a large batch was published chunk by chunk, and messages at the border of two chunks were skipped',
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
