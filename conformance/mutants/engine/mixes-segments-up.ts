import type { SegmentWriter } from '@robustmq/core';
import { broken, MEMORY, type Mutant, override } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'mixes up segments that are written at once',
  incident:
    'redis-py #2624, 2023: one cancelled call, and each answer on that connection went to whoever asked next. ChatGPT had an outage over it',
  stage: 'engine',
  caughtBy: 'SHARD-110',
  // a second segment is read beside the first one; and they are a crowd
  alsoFails: ['SHARD-076', 'SHARD-250'],
  definition: broken(MEMORY, (engine) => {
    const writers: SegmentWriter[] = [];
    return {
      create: async (id, options) => {
        const writer = await engine.create(id, options);
        writers.push(writer);
        return override(writer, {
          read: (from, read) => (writers[from % writers.length] ?? writer).read(from, read),
        });
      },
    };
  }),
};

export default mutant.definition;
