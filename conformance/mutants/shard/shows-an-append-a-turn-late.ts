import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'lets the newest append be read only in the next turn of the event loop',
  incident:
    'An acknowledgement and an index that are told of a write one after the other: who reads at once finds nothing',
  stage: 'shard',
  caughtBy: 'SHARD-030',
  // each reads at once what it has appended
  alsoFails: ['SHARD-071', 'SHARD-150'],
  definition: oneFile(),
  shard: (shard) => {
    let hidden = -1;
    return {
      append: async (batches, options) => {
        const appended = await shard.append(batches, options);
        hidden = appended.base;
        setImmediate(() => {
          if (hidden === appended.base) hidden = -1;
        });
        return appended;
      },
      read: async (from, options) => {
        const late = from === hidden;
        const read = await shard.read(from, options);
        return late ? { ...read, chunks: [], bytes: 0, next: from } : read;
      },
    };
  },
};

export default mutant.definition;
