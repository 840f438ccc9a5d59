import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'lets the newest append be read only in the next turn of the event loop',
  incident:
    'nats-server #6970: a get right after an acknowledgement may be answered by a replica that does not have the message yet',
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
