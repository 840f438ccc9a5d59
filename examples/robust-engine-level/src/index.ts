/**
 * Segments in one LevelDB, an ordered store of keys. Read in this order: rows.ts (what lies in it), draft.ts (what changes it), commits.ts
 * (one batch, one sync for all who wait), database.ts (how it is opened, and proven whole), engine.ts (what core calls).
 */
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition } from '@robustmq/core';
import { LevelEngine } from './engine.ts';
import { MAX_BATCH_BYTES, SETTINGS, type Settings } from './settings.ts';

export type { Settings } from './settings.ts';

const engine: EngineDefinition<Settings> = defineEngine<Settings>({
  name: 'level',
  apiVersion: ENGINE_API_VERSION,
  version: '0.1.0',
  configSchema: SETTINGS,
  capabilities: { durability: 'fsync', placement: 'node', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: (ctx) => LevelEngine.open(ctx),
});

export default engine;
