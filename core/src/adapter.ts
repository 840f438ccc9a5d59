/**
 * The brokers' side of the storage layer: topics and shards, and nothing else. A protocol maps its own names onto these (a Kafka
 * partition, an AMQP queue's log, an MQTT topic group are each one shard) and never learns which engine holds what.
 *
 * A shard is an ordered log of Kafka v2 record batches with dense offsets. Core assigns the offsets, deduplicates idempotent
 * producers, waits, and moves data between engines underneath.
 */
import type { StorageError } from './errors.ts';

export interface StorageAdapter {
  /**
   * @throws TOPIC_EXISTS, TOPIC_INVALID (name or settings), ENGINE_UNKNOWN, NOT_SUPPORTED (the engine can't hold such a topic)
   */
  createTopic(name: string, options?: CreateTopicOptions): Promise<Topic>;
  /** The topic, created by the rules when it does not exist and `autoCreate` is on. @throws TOPIC_UNKNOWN, TOPIC_INVALID */
  ensureTopic(name: string): Promise<Topic>;
  /** Sets (or with `null` resets to rule or default) settings of a live topic. @throws as createTopic; WEAKER_DURABILITY */
  alterTopic(name: string, changes: TopicOverrides, options?: AlterTopicOptions): Promise<Topic>;
  /** Idempotent in effect; @throws TOPIC_UNKNOWN when there is none of that name now. */
  deleteTopic(name: string): Promise<void>;

  /** From this node's view of Meta, which follows a change within a watch's delay. */
  topic(name: string): Topic | undefined;
  topicById(id: string): Topic | undefined;
  topics(): Iterable<Topic>;
  /** Creations, changes and deletions from now on. The current ones come first, as `created`. */
  watch(signal: AbortSignal): AsyncIterable<TopicEvent>;

  /** @throws SHARD_UNKNOWN */
  shard(topic: Topic, index: number): Shard;
  shards(topic: Topic): readonly Shard[];

  /** A producer id that was never given out before, for idempotent producers. */
  allocateProducerId(): Promise<number>;

  /**
   * Resolves when any of the positions has something committed to read (or an error to report), when `maxWaitMs` has passed, or when
   * `signal` aborts. Costs no timer of its own and nothing while idle.
   */
  wait(
    positions: readonly { readonly shard: Shard; readonly from: number }[],
    options: { readonly maxWaitMs: number; readonly signal?: AbortSignal },
  ): Promise<void>;
}

export interface CreateTopicOptions {
  /** Settings stored on the topic; they win over rules. */
  readonly overrides?: TopicOverrides;
  /** Check everything, create nothing. */
  readonly validateOnly?: boolean;
}

export interface AlterTopicOptions {
  /** Needed to move a topic to an engine that promises less. */
  readonly allowWeakerDurability?: boolean;
  readonly validateOnly?: boolean;
}

export type TopicEvent =
  | { readonly type: 'created' | 'altered'; readonly topic: Topic }
  | { readonly type: 'deleted'; readonly topic: Topic };

export interface Topic {
  /** Letters, digits, `.`, `_`, `-`; 1 to 249 characters; not `.` or `..`. */
  readonly name: string;
  /** A UUID, never reused. */
  readonly id: string;
  readonly shards: number;
  /** True for topics of the system itself (`__*`). */
  readonly internal: boolean;
  /** In force: topic over first matching rule over cluster default. */
  readonly settings: TopicSettings;
  /** Where each setting in `settings` comes from, by its path (`retention.ms`): `topic`, `rule orders.*`, `default`. */
  readonly origins: Readonly<Record<string, string>>;
}

/** Docs: the table in docs/topics.md. */
export interface TopicSettings {
  /** The engine instance that takes new segments. */
  readonly engine: string;
  /** For that engine, per topic. */
  readonly engineSettings: Readonly<Record<string, unknown>>;
  /** Number of shards at creation. */
  readonly shards: number;
  readonly retention: {
    /** Segments whose newest append is older than this go; -1: never. */
    readonly ms: number;
    /** Bytes a shard may keep; -1: no limit. */
    readonly bytes: number;
  };
  readonly segment: {
    /** An open segment is sealed when it is this large, */
    readonly bytes: number;
    /** or this old. */
    readonly ms: number;
  };
  /** `delete`: by retention. `compact`: the newest record of each key stays. `compact,delete`: both. */
  readonly cleanup: 'delete' | 'compact' | 'compact,delete';
  /** How long a compacted topic keeps a tombstone. */
  readonly deleteRetentionMs: number;
  /** Of one batch, as the client sent it. */
  readonly maxMessageBytes: number;
  /** Where sealed segments go when they are no longer new. */
  readonly archive: {
    /** The engine instance; `none`: they stay where they are. */
    readonly to: string;
    /** From so long after their newest append. */
    readonly after: number;
    /** Until so long after their newest append a copy stays on the topic's own engine, for readers. */
    readonly keepLocal: number;
  };
}

/** `archive.to` of a topic that is not archived. */
export const NO_ARCHIVE = 'none';

/** Settings as a user sets them on a topic: any part of {@link TopicSettings}; `null` removes what the topic had set. */
export interface TopicOverrides {
  readonly engine?: string | null;
  readonly engineSettings?: Readonly<Record<string, unknown>> | null;
  /** Only at creation. */
  readonly shards?: number | null;
  readonly retention?: { readonly ms?: number | null; readonly bytes?: number | null };
  readonly segment?: { readonly bytes?: number | null; readonly ms?: number | null };
  readonly cleanup?: TopicSettings['cleanup'] | null;
  readonly deleteRetentionMs?: number | null;
  readonly maxMessageBytes?: number | null;
  readonly archive?: {
    readonly to?: string | null;
    readonly after?: number | null;
    readonly keepLocal?: number | null;
  };
}

/** `committed`: what is durable. `stable`: that, below the first open transaction. Equal until there are transactions. */
export type Isolation = 'committed' | 'stable';

export interface Shard {
  readonly topic: Topic;
  readonly index: number;
  /** The node that may append now. */
  readonly owner: number;
  /** Why the shard can't be served now, if so: NODE_DOWN, CORRUPT, ... */
  readonly unavailable: StorageError | undefined;

  /**
   * Appends whole record batches as one atomic unit, and resolves when they are as durable as the topic's engine declares. Each is checked (shape, CRC);
   * base offset and leader epoch are written into the caller's bytes, which belong to core until this has settled. Calls take effect in call order.
   * A batch of an idempotent producer that was appended before is not appended again: the result is the first one's, `duplicate` true.
   * @throws BATCH_INVALID, BATCH_TOO_LARGE, SEQUENCE_GAP, PRODUCER_FENCED, BACKPRESSURE, DISK_FULL,
   * NOT_OWNER, NODE_DOWN, ABORTED; anything with outcome unknown may have been applied.
   */
  append(batches: readonly Uint8Array[], options?: { readonly signal?: AbortSignal }): Promise<AppendResult>;
  /** Credit: `undefined` when `bytes` may be appended now, else a promise for when to ask again. Stop reading your socket meanwhile. */
  ready(bytes: number): Promise<void> | undefined;

  /**
   * Committed batches from the one that holds `from` (in a hole: the next one): at least one if there is any, then as many as fit in `maxBytes`. With nothing there
   * yet, waits up to `maxWaitMs` (0 by default) for a commit.
   * @throws OFFSET_TRIMMED, OFFSET_BEYOND_END (both with `offsets`), CORRUPT, NODE_DOWN, ABORTED.
   */
  read(from: number, options: ReadOptions): Promise<ShardRead>;
  /** False where a read from `from` may have to give way to others, since what lies there is archived: read from other shards first. */
  isNear(from: number): boolean;
  offsets(): Promise<ShardOffsets>;
  /** The first record at or after `timestamp` (ms), in offset order. */
  offsetForTimestamp(timestamp: number): Promise<{ readonly offset: number; readonly timestamp: number } | undefined>;
  /** The end of the newest epoch at or below `epoch`, and that epoch: what Kafka's OffsetForLeaderEpoch wants. */
  endOffsetForEpoch(epoch: number): Promise<{ readonly epoch: number; readonly end: number }>;
  /** Drops records below `before` logically at once, and in the store by whole segments. @returns the new log start. */
  trim(before: number): Promise<number>;
  segments(): Promise<readonly SegmentInfo[]>;
}

export interface AppendResult {
  /** Offset of the first record, one past the last. */
  readonly base: number;
  readonly next: number;
  readonly duplicate: boolean;
}

export interface ReadOptions {
  readonly maxBytes: number;
  readonly maxWaitMs?: number;
  readonly isolation?: Isolation;
  readonly signal?: AbortSignal;
}

export interface ShardRead {
  /** Whole batches, as stored, ready for a socket. The first may begin below `from`. */
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** Where to go on. */
  readonly next: number;
  readonly offsets: ShardOffsets;
}

export interface ShardOffsets {
  readonly logStart: number;
  /** Kafka's high watermark. */
  readonly committed: number;
  readonly lastStable: number;
  readonly epoch: number;
}

/** For people: `topic describe`. */
export interface SegmentInfo {
  readonly id: string;
  readonly instance: string;
  readonly state: 'PREPARED' | 'OPEN' | 'RECOVERING' | 'SEALED' | 'DELETING' | 'LOST';
  readonly base: number;
  /** Undefined while open. */
  readonly end: number | undefined;
  readonly epoch: number;
  readonly bytes: number;
  /** Of a copy that stays for readers after its segment was archived: until when, wall time in ms. */
  readonly keptUntil?: number;
}
