import { StorageError } from '@robustmq/core';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'lets the writer of a deleted segment go on',
  incident:
    'BookKeeper #4462: a write to a ledger that another client had deleted succeeded, and could be read by nobody',
  stage: 'engine',
  caughtBy: 'SHARD-101',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => {
    const gone = new Set<string>();
    const refuse = (id: string): void => {
      if (gone.has(id)) throw new StorageError('SEGMENT_LOST', 'The segment has been deleted');
    };
    return {
      delete: async (id) => void gone.add(id),
      recover: async (id, options) => {
        refuse(id);
        return await engine.recover(id, options);
      },
      openReader: async (id) => {
        refuse(id);
        return await engine.openReader(id);
      },
      list: async (options) =>
        (await engine.list({ ...options, limit: 1000 })).filter((id) => !gone.has(id)).slice(0, options.limit),
    };
  }),
};

export default mutant.definition;
