import { StorageError } from '@robustmq/core';
import { broken, MEMORY, type Mutant, override } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'closes all readers of a segment with one',
  incident:
    'HUDI-9355: Hadoop gives one FileSystem to all who ask for it, and whoever closed it closed it under those who still read',
  stage: 'engine',
  caughtBy: 'SHARD-078',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => {
    const closed = new Set<string>();
    return {
      openReader: async (id) => {
        const reader = await engine.openReader(id);
        closed.delete(id);
        return override(reader, {
          read: async (from, options) => {
            if (closed.has(id)) throw new StorageError('IO_ERROR', 'bad file descriptor');
            return await reader.read(from, options);
          },
          close: async () => void closed.add(id),
        });
      },
    };
  }),
};

export default mutant.definition;
