import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes settings that it does not know',
  incident: 'A misspelt limit that nobody refused: the default held, and was found when the disk was full',
  stage: 'engine',
  caughtBy: 'SHARD-142',
  alsoFails: [],
  definition: { ...MEMORY, configSchema: { ...MEMORY.configSchema, additionalProperties: true } },
};

export default mutant.definition;
