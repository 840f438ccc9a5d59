import { StorageError } from '@robustmq/core';
import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'refuses to seal an empty segment',
  incident:
    'Two changes of the engine in a row without a record in between, and a topic that can not be written any more',
  stage: 'engine',
  caughtBy: 'SHARD-093',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => ({
    seal: async () => {
      const { base, end } = writer.offsets();
      if (base === end) throw new StorageError('IO_ERROR', 'Nothing to seal');
      return await writer.seal();
    },
  })),
};

export default mutant.definition;
