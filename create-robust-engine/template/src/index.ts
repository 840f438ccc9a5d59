/**
 * Segments in one append-only file. Read in this order: frame.ts (what lies in the file), log.ts (how it gets there and is synced),
 * segments.ts (what it means), engine.ts (what core calls).
 */
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition } from '@robustmq/core';
import { MyEngine } from './engine.ts';
import { MAX_BATCH_BYTES, SETTINGS, type Settings } from './settings.ts';

export type { Settings } from './settings.ts';

const engine: EngineDefinition<Settings> = defineEngine<Settings>({
  name: 'my-engine',
  apiVersion: ENGINE_API_VERSION,
  version: '0.1.0',
  configSchema: SETTINGS,
  capabilities: { durability: 'fsync', placement: 'node', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: (ctx) => MyEngine.open(ctx),
});

export default engine;
