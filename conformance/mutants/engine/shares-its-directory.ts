import type { EngineDefinition } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

const SOUND = oneFile();

export const mutant: Mutant = {
  name: 'opens a directory that another instance has open',
  incident:
    'urbit #818, Dgraph #1185: two processes were started over one directory, and both wrote to its log, until it was corrupt',
  stage: 'engine',
  caughtBy: 'SHARD-277',
  alsoFails: [],
  definition: {
    ...SOUND,
    open: (ctx) => SOUND.open({ ...ctx, lock: async () => ({ release: async () => {} }) }),
  } satisfies EngineDefinition,
};

export default mutant.definition;
