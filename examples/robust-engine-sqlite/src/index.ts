/**
 * Segments in one SQLite database. Read in this order: schema.ts (what lies in the database), work.ts (what can be asked of the thread that
 * writes), store.ts (what it does), worker.ts and proof.ts (where it runs), database.ts (the way there, in groups), engine.ts (what core calls).
 */
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition } from '@robustmq/core';
import { SqliteEngine } from './engine.ts';
import { MAX_BATCH_BYTES, SETTINGS, type Settings } from './settings.ts';

export type { Settings } from './settings.ts';

const engine: EngineDefinition<Settings> = defineEngine<Settings>({
  name: 'sqlite',
  apiVersion: ENGINE_API_VERSION,
  version: '0.1.0',
  configSchema: SETTINGS,
  capabilities: { durability: 'fsync', placement: 'node', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: (ctx) => SqliteEngine.open(ctx),
});

export default engine;
