import { openSync } from 'node:fs';
import type { EngineDefinition } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

const SOUND = oneFile();

export const mutant: Mutant = {
  name: 'keeps a file open when it could not be opened itself',
  incident:
    'librdkafka #4456, and ours: a start that failed at a later step left open what the earlier ones had opened, and each attempt kept some more',
  stage: 'engine',
  caughtBy: 'SHARD-278',
  alsoFails: [],
  definition: {
    ...SOUND,
    open: async (ctx) => {
      try {
        return await SOUND.open(ctx);
      } catch (error) {
        openSync('/dev/null', 'r');
        throw error;
      }
    },
  } satisfies EngineDefinition,
};

export default mutant.definition;
