import type { SegmentWriter } from '@robustmq/core';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives a writer to each of several that ask for a segment at once',
  incident:
    'RustFS #1659, SeaweedFS #8800: a look whether the name is free, and then a write that does not look again: of those who raced several won',
  stage: 'engine',
  caughtBy: 'SHARD-270',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => {
    const making = new Map<string, Promise<SegmentWriter>>();
    return {
      create: async (id, options) => {
        const writer = making.get(id) ?? engine.create(id, options).finally(() => making.delete(id));
        making.set(id, writer);
        return await writer;
      },
    };
  }),
};

export default mutant.definition;
