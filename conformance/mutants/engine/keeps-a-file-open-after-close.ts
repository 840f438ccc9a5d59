import { openSync } from 'node:fs';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'keeps its files open when it is closed',
  incident:
    'CnosDB #1242: files stayed open after they had been deleted, and the disk was not free of them until the process was started again',
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
