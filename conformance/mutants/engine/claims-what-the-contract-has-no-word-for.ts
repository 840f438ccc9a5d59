import type { EngineCapabilities } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

const more = { replication: 3 };

export const mutant: Mutant = {
  name: 'declares what the contract has no word for',
  incident: 'A claim that is written down, and checked and obeyed by nobody: topics are placed where people read it',
  stage: 'engine',
  caughtBy: 'SHARD-140',
  alsoFails: [],
  definition: { ...MEMORY, capabilities: { ...MEMORY.capabilities, ...more } satisfies EngineCapabilities },
};

export default mutant.definition;
