import type { StorageAdapter } from './adapter.ts';
import type { ArchiveStatus } from './archive/status.ts';
import type { EngineCapabilities, EngineDefinition, EngineHealth, StorageEngine } from './engine.ts';
import type { StorageError } from './errors.ts';
import type { Meta } from './meta/port.ts';
import type { TopicPolicy } from './topics/policy.ts';
import type { Clock, Logger, Metrics, Random } from './world.ts';

/** What a node hands to `openStorage` (storage.ts). */
export interface StorageOptions {
  readonly nodeId: number;
  /** For the manifests of archives. */
  readonly clusterId?: string;
  readonly meta: Meta;
  /** By instance name. */
  readonly engines: ReadonlyMap<string, EngineInstance>;
  readonly policy: TopicPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Share of the time since it was called last in which this thread's event loop had work, 0 to 1. By default as Node counts it. */
  readonly busy?: () => number;
  /** Node-wide tuning; each has a default. */
  readonly tuning?: Partial<StorageTuning>;
}

export interface StorageTuning {
  /** How long a replaced or dropped segment stays readable before it is deleted. */
  readonly deleteGraceMs: number;
  /** Time between two rounds of retention, merging, compaction and moving. */
  readonly maintenanceIntervalMs: number;
  /** How long an append waits for a failed writer to be recovered before it is given up with outcome unknown. */
  readonly recoverTimeoutMs: number;
  /** Bytes of appends one shard holds that are not yet settled. */
  readonly shardWindowBytes: number;
  /** Shards whose segments are moved between engines at once. */
  readonly movesAtOnce: number;
  /** Time between two documents that say what an archive holds. */
  readonly manifestIntervalMs: number;
}

/** One opened engine with what core knows about it. Made by `openInstance` (engine/instance.ts). */
export interface EngineInstance {
  readonly name: string;
  readonly definition: EngineDefinition;
  readonly capabilities: EngineCapabilities;
  /** Behind the wrapper. */
  readonly engine: StorageEngine;
  /** The last report. */
  readonly health: EngineHealth;
  onHealth(listener: (health: EngineHealth) => void): void;
}

/** The storage layer of one node: what brokers see, and what the node itself needs. */
export interface Storage extends StorageAdapter {
  status(): StorageStatus;
  /** Of one topic, whose shards are opened for that, or of all shards in memory. @throws TOPIC_UNKNOWN */
  archiveStatus(topicName?: string): Promise<ArchiveStatus>;
  /**
   * Opens the shards of a topic that can't be recovered, giving up what is lost or damaged: only by an operator's word.
   * @returns the offsets given up. @throws TOPIC_UNKNOWN, IO_ERROR, ...
   */
  acceptLosses(
    topicName: string,
  ): Promise<readonly { readonly shard: number; readonly base: number; readonly end: number }[]>;
  /** The node is about to stop: reads that wait for their turn go on at once. */
  letGo(): void;
  /** Refuses new appends (CLOSED), settles those in flight, seals open segments. */
  drain(): Promise<void>;
  /** Stops loops and watches. The engines stay open: who opened them closes them. */
  close(): Promise<void>;
}

/** For `/readyz` and `status`. */
export interface StorageStatus {
  readonly ready: boolean;
  /** What is wrong, for a person: empty when all is well. */
  readonly problems: readonly StorageProblem[];
  readonly engines: readonly { readonly instance: string; readonly use: string; readonly health: EngineHealth }[];
  readonly loops: readonly { readonly name: string; readonly lastProgressMs: number; readonly healthy: boolean }[];
}

export interface StorageProblem {
  readonly code: StorageError['code'] | 'ENGINE_UNHEALTHY' | 'LOOP_STUCK';
  readonly where: string;
  readonly detail: string;
}
