import type { EngineDefinition } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

const SOUND = oneFile();

export const mutant: Mutant = {
  name: 'opens a directory that another instance has open',
  incident: 'A service that was started twice: both append to one file, each at the end that it remembers',
  stage: 'engine',
  caughtBy: 'SHARD-277',
  alsoFails: [],
  definition: {
    ...SOUND,
    open: (ctx) => SOUND.open({ ...ctx, lock: async () => ({ release: async () => {} }) }),
  } satisfies EngineDefinition,
};

export default mutant.definition;
