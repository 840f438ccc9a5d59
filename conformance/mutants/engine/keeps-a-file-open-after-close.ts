import { openSync } from 'node:fs';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'keeps its files open when it is closed',
  incident:
    'Restarts of an engine inside one process, each of which leaves its log open: the disk is never free of what was deleted',
  stage: 'engine',
  caughtBy: 'SHARD-133',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({
    close: async () => {
      for (let i = 0; i < 3; i++) openSync('/dev/null', 'r');
      await engine.close();
    },
  })),
};

export default mutant.definition;
