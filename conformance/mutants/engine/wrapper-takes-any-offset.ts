import { patchOffsetAndEpoch } from '@robustmq/core';
import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'puts an append at the next offset, whatever offset it was given (a wrapper)',
  incident:
    'KAFKA-15213: Raft may put records at another offset than the controller counted on, until an append that named its offset failed instead',
  stage: 'engine',
  caughtBy: 'SHARD-004',
  // the bytes that are sent again bear the offset that it gave them
  alsoFails: ['SHARD-290'],
  definition: MEMORY,
  wrapper: (engine) =>
    wrongWriter(engine, (writer) => ({
      append: async (batches, options) => {
        const { end } = writer.offsets();
        if (batches.length === 1 && batches[0] !== undefined && batches[0].length > 61 && options.base !== end)
          patchOffsetAndEpoch(batches[0], end, 0);
        return writer.append(batches, batches.length === 1 ? { ...options, base: end } : options);
      },
    })),
};

export default mutant.definition;
