import type { EngineCapabilities } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

const more = { replication: 3 };

export const mutant: Mutant = {
  name: 'declares what the contract has no word for',
  incident:
    'Govcraft/emergent #44, 2026: a retention could be set, and nobody read it. A claim that no one checks is believed all the same',
  stage: 'engine',
  caughtBy: 'SHARD-140',
  alsoFails: [],
  definition: { ...MEMORY, capabilities: { ...MEMORY.capabilities, ...more } satisfies EngineCapabilities },
};

export default mutant.definition;
