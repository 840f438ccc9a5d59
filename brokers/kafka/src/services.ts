import type { Authorizer, Clock, Logger, MemoryShare, StorageAdapter } from '@robustmq/core';
import type { KafkaMetrics } from './metrics.ts';
import type { OutputAccount } from './output-account.ts';
import type { KafkaSettings } from './settings.ts';

/** What all connections of the broker share. */
export interface Services {
  readonly apis: ServedVersions;
  readonly storage: StorageAdapter;
  readonly authorizer: Authorizer;
  readonly node: { readonly id: number; readonly clusterId: string };
  readonly memory: MemoryShare;
  readonly output: OutputAccount;
  readonly settings: KafkaSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: KafkaMetrics;
}

/** By API key, in ascending order: what ApiVersions lists. */
export type ServedVersions = ReadonlyMap<number, { readonly min: number; readonly max: number }>;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}
