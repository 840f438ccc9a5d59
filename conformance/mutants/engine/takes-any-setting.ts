import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'takes settings that it does not know',
  incident: 'Heka #124: settings that it did not know were ignored without a word: a typo, and the default held',
  stage: 'engine',
  caughtBy: 'SHARD-142',
  alsoFails: [],
  definition: { ...MEMORY, configSchema: { ...MEMORY.configSchema, additionalProperties: true } },
};

export default mutant.definition;
