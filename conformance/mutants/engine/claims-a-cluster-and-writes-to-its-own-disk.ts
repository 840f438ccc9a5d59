import type { EngineDefinition } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

const SOUND = oneFile();

export const mutant: Mutant = {
  name: 'says that any node can recover what lies on its own disk',
  incident:
    'distribution #3901: registries behind one balancer, each with a disk of its own. What one of them has taken in, the next one does not have',
  stage: 'engine',
  caughtBy: 'SHARD-286',
  alsoFails: [],
  definition: {
    ...SOUND,
    capabilities: { ...SOUND.capabilities, placement: 'cluster' },
  } satisfies EngineDefinition,
};

export default mutant.definition;
