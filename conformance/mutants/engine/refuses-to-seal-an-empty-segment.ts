import { StorageError } from '@robustmq/core';
import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'refuses to seal an empty segment',
  incident: 'Pulsar #3913: offloading failed whenever the last ledger of the topic was an empty one',
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
