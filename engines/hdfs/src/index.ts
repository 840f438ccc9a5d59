/**
 * Segments in HDFS over WebHDFS, in few and large files. See README.md.
 */
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition } from '@robustmq/core';
import { forecast, MAX_BATCH_BYTES, openObjectArchive, openObjects } from '@robustmq/engine-objects';
import { backendOf } from './backend.ts';
import { type HdfsSettings, objectSettings, SETTINGS_SCHEMA } from './settings.ts';

export type { HdfsSettings } from './settings.ts';

const engine: EngineDefinition<HdfsSettings> = defineEngine<HdfsSettings>({
  name: 'hdfs',
  apiVersion: ENGINE_API_VERSION,
  version: '0.1.0',
  configSchema: SETTINGS_SCHEMA,
  capabilities: { durability: 'pipeline', placement: 'cluster', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: async (ctx) => {
    const config = objectSettings(ctx.config);
    return await openObjects({ ...ctx, config }, await backendOf(ctx.config, ctx.clock));
  },
  forecast: (settings, load) => forecast(objectSettings(settings), load),
  openArchive: async (ctx) => {
    const config = objectSettings(ctx.config);
    return await openObjectArchive({ ...ctx, config }, await backendOf(ctx.config, ctx.clock));
  },
});

export default engine;
