import type { PluginTable } from '@robustmq/core/config';

/** The engines and brokers that come with the server. Imported when a config uses them. */
export const FIRST_PARTY_ENGINES: PluginTable = new Map<string, () => Promise<unknown>>([
  ['local-file', () => import('@robustmq/engine-local-file')],
  ['memory', () => import('@robustmq/engine-memory')],
  ['s3', () => import('@robustmq/engine-s3')],
  ['hdfs', () => import('@robustmq/engine-hdfs')],
]);

export const FIRST_PARTY_BROKERS: PluginTable = new Map<string, () => Promise<unknown>>([
  ['mqtt', () => import('@robustmq/broker-mqtt')],
  ['kafka', () => import('@robustmq/broker-kafka')],
]);
