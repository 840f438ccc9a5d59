import type { StorageEngine } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

let newest: StorageEngine | undefined;

export const mutant: Mutant = {
  name: 'creates segments though it declares that it takes whole ones only (a wrapper)',
  incident:
    'ansible-documentation #1209: a refactoring took away a feature that nobody had meant to give, and more people used it than one knew',
  stage: 'engine',
  caughtBy: 'SHARD-141',
  alsoFails: [],
  definition: {
    ...MEMORY,
    capabilities: { ...MEMORY.capabilities, append: false },
    open: async (ctx) => {
      newest = await MEMORY.open(ctx);
      return newest;
    },
  },
  // core's guard refuses: whoever stands before it has asked the engine itself
  wrapper: (engine) => {
    const behind = newest ?? engine;
    return {
      create: async (id, options) => {
        await engine.list({ prefix: '', limit: 1 }); // closed is closed
        return await behind.create(id, options);
      },
    };
  },
};

export default mutant.definition;
