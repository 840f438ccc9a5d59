/**
 * Segments on a disk of this node. One write-ahead log for all of them is where appends become durable, in groups, by a thread of its
 * own; segment files are written behind it, and are what is read. `docs/decisions` has the reasons.
 */
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition, keptBytes, roomForecast } from '@robustmq/core';
import { openLocalFile } from './open.ts';
import { DEFAULT_SETTINGS, type LocalFileSettings, MAX_BATCH_BYTES, SETTINGS_SCHEMA } from './settings.ts';

export type { LocalFileSettings } from './settings.ts';

export const localFile: EngineDefinition<Partial<LocalFileSettings>> = defineEngine<Partial<LocalFileSettings>>({
  name: 'local-file',
  apiVersion: ENGINE_API_VERSION,
  version: '0.1.0',
  configSchema: SETTINGS_SCHEMA,
  capabilities: { durability: 'fsync', placement: 'node', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: openLocalFile,
  forecast: (config, load) => {
    const { walFileBytes, walFiles, prices } = { ...DEFAULT_SETTINGS, ...config };
    return roomForecast(keptBytes(load) + load.nodes * walFiles * walFileBytes, prices.perGbMonth);
  },
});

export default localFile;
