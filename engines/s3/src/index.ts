/**
 * Segments in S3, MinIO or any store that speaks S3, within a budget of requests. See README.md.
 */
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition } from '@robustmq/core';
import { forecast, MAX_BATCH_BYTES, openObjectArchive, openObjects } from '@robustmq/engine-objects';
import { backendOf } from './backend.ts';
import { type S3Settings, SETTINGS_SCHEMA } from './settings.ts';

export type { S3Settings } from './settings.ts';

const engine: EngineDefinition<S3Settings> = defineEngine<S3Settings>({
  name: 's3',
  apiVersion: ENGINE_API_VERSION,
  version: '0.1.0',
  configSchema: SETTINGS_SCHEMA,
  capabilities: { durability: 'object-store', placement: 'cluster', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: async (ctx) => await openObjects(ctx, await backendOf(ctx.config, ctx.clock)),
  forecast,
  openArchive: async (ctx) => await openObjectArchive(ctx, await backendOf(ctx.config, ctx.clock)),
});

export default engine;
