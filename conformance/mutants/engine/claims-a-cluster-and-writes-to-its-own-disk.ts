import type { EngineDefinition } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

const SOUND = oneFile();

export const mutant: Mutant = {
  name: 'says that any node can recover what lies on its own disk',
  incident: 'A shared directory that was not mounted on one of the machines: found out when the shard had moved there',
  stage: 'engine',
  caughtBy: 'SHARD-286',
  alsoFails: [],
  definition: {
    ...SOUND,
    capabilities: { ...SOUND.capabilities, placement: 'cluster' },
  } satisfies EngineDefinition,
};

export default mutant.definition;
