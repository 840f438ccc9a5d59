/**
 * The engine's side of the storage layer. An engine stores **segments**: contiguous runs of offsets, each written once, by
 * one writer, in one epoch, then sealed and never written again. It knows nothing of topics, partitions, tiers or
 * protocols, never assigns an offset, never trims, truncates or reopens. Core joins segments into shards.
 *
 * Read this file from top to bottom to write an engine; `docs/engine-contract.md` gives the reasons, and
 * `@robustmq/conformance` proves the result. Core calls an engine only through its own wrapper (`guard.ts`), which checks
 * arguments and states first: an engine may rely on everything that is written here about what it is given.
 *
 * Concurrency: an engine serves many segments at once. For one segment core calls `append` without waiting for the one
 * before to settle; `flush`, `seal` and `close` of one writer are called one at a time; what reads (`offsets`, `state`, `read`,
 * `offsetForTimestamp`) may overlap with itself and with everything else. Readers of one segment are independent.
 */

import type { Meta } from './meta/port.ts';
import type { JsonSchema } from './plugin/schema.ts';
import type { Clock, FileSystem, Logger, Metrics, Random } from './world.ts';

/** The version of this contract. An engine names the one it was written for; core refuses what it can't serve. */
export const ENGINE_API_VERSION = 0.1;

/** What an acknowledged append survives. */
export type Durability =
  /** Nothing: the data is gone with the process. */
  | 'none'
  /** kill -9 and power loss of this node, at any byte. */
  | 'fsync'
  /** The replication pipeline of the store behind the engine, in memory of several machines. */
  | 'pipeline'
  /** fsync on a quorum of nodes. */
  | 'quorum'
  /** What the object store promises. */
  | 'object-store';

/** Claims. The conformance suite checks each in both directions: declared and works, not declared and `NOT_SUPPORTED`. */
export interface EngineCapabilities {
  readonly durability: Durability;
  /** Who can recover a segment after its writer is gone: only the node that holds it, or any node of the cluster. */
  readonly placement: 'node' | 'cluster';
  /** True when `create` works. False for a cold tier, which takes whole segments by `ingest` only. */
  readonly append: boolean;
  /** The largest single batch `append` and `ingest` take, in bytes; at least 1 MiB. */
  readonly maxBatchBytes: number;
}

export interface EngineDefinition<Config = unknown> {
  /** `local-file` for the package `@robustmq/engine-local-file` or `robust-engine-local-file`. */
  readonly name: string;
  readonly apiVersion: number;
  readonly version: string;
  /** JSON Schema (draft-07) of the instance's settings beside `use`; an object schema without additional properties. */
  readonly configSchema: JsonSchema;
  /** JSON Schema of the settings a topic may give this engine (`engineSettings`); absent: none. */
  readonly segmentConfigSchema?: JsonSchema;
  readonly capabilities: EngineCapabilities;
  /** Called once per instance and process. Must leave nothing behind when it rejects. */
  open(ctx: EngineContext<Config>): Promise<StorageEngine>;
  /**
   * Reads what `StorageEngine.shelf` has put there, without Meta, a node or the cluster that wrote it. For engines with a shelf.
   * @throws IO_ERROR, CORRUPT; INVALID_ARGUMENT when there are several clusters and none is named
   */
  openArchive?(ctx: ArchiveContext<Config>): Promise<ArchiveReader>;
  /** What a load will cost at the instance's prices, by the rules that the engine follows. {@link roomForecast} for those that pay for room alone. */
  forecast?(config: Config, load: ForecastLoad): EngineForecast;
}

/** Types the definition and gives it back unchanged. An engine package exports the result as `default`. */
export function defineEngine<Config>(definition: EngineDefinition<Config>): EngineDefinition<Config> {
  return definition;
}

/** The world as it is handed to one engine instance: the only source of time, chance, files and names it may use. */
export interface EngineContext<Config = unknown> {
  /** The instance's name in the config, for messages. */
  readonly instance: string;
  /** The number of the node. It runs once at a time, so what a former process of it was doing is over. */
  readonly node: number;
  /** A directory of this instance's own (exists). Its own setting, if it has one, wins over this. */
  readonly dir: string;
  /** Valid against `configSchema`, with defaults filled in. */
  readonly config: Config;
  readonly fs: FileSystem;
  /**
   * Takes the directory for this process until `release` or the end of the process, kill -9 included.
   * @throws DIRECTORY_LOCKED when another process, or another instance in this one, has it.
   */
  lock(dir: string): Promise<{ release(): Promise<void> }>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Scoped to a prefix that belongs to this instance. */
  readonly meta: Meta;
  /** Tells core how the instance is doing, whenever that changes; `/readyz` shows it. After `ok` core makes moves again that failed meanwhile. */
  health(report: EngineHealth): void;
  /** Tells core which requests a store was asked for a segment, so that it can say what a topic costs. For engines that pay by the request. */
  usage(report: SegmentUsage): void;
  /** Aborted when the node stops in a hurry: give up on what waits, then expect `close`. */
  readonly signal: AbortSignal;
}

/** What the whole cluster is going to write to an instance. */
export interface ForecastLoad {
  readonly nodes: number;
  /** With one shard each; the load is spread evenly over them. */
  readonly topics: number;
  readonly bytesPerSecond: number;
  readonly recordBytes: number;
  readonly segmentBytes: number;
  /** How old a segment is when it is sealed. */
  readonly segmentMs: number;
  readonly retentionMs: number;
  /** Written to another engine first, and archived here segment by segment. */
  readonly archived: boolean;
  readonly manifestIntervalMs: number;
}

export interface EngineForecast {
  /** PUT, POST and LIST of all nodes. */
  readonly putsPerHour: number;
  /** GET and HEAD of all nodes, without those of consumers. */
  readonly getsPerHour: number;
  /** Once the retention is reached. */
  readonly storedBytes: number;
  /** In the currency of the instance's prices; a month has 730 hours. */
  readonly requestsPerMonth: number;
  readonly storagePerMonth: number;
  /** The instance's budget of requests is not enough: writers wait. */
  readonly isThrottled: boolean;
}

/** Requests made for a segment; a request for several segments is shared among them by bytes, so these may be fractions. */
export interface SegmentUsage {
  readonly segment: SegmentId;
  readonly puts: number;
  readonly gets: number;
  readonly lists: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  /** At the instance's configured prices, in its currency. */
  readonly cost: number;
}

export interface EngineHealth {
  /**
   * `ok`; `pressure`: close to its own byte limit, core drops the oldest data of this instance;
   * `full`: refuses appends with DISK_FULL until there is room again; `failed`: needs a person.
   */
  readonly status: 'ok' | 'pressure' | 'full' | 'failed';
  /** For a person: what is wrong and what to do. */
  readonly detail: string;
}

/** Lower case letters, digits, `.`, `_`, `-`; 1 to 128 characters; safe as a file name and as part of an object's key. */
export type SegmentId = string;

/** Core's fold at `base`: opaque bytes, at most {@link MAX_STATE_BYTES}. The engine stores it with the segment. */
export type SegmentState = Uint8Array;
export const MAX_STATE_BYTES: number = 1024 * 1024;

export interface StorageEngine {
  /**
   * Names the medium, not the process: a new value after the disk was wiped or replaced. Core compares it with what Meta
   * remembers, so that lost data is never taken for data that never was.
   */
  readonly incarnation: string;

  /**
   * Opens the only writer this segment ever has. Once it has resolved the segment exists as durably as an append would.
   * @throws SEGMENT_EXISTS, DISK_FULL, IO_ERROR; NOT_SUPPORTED when `append` is not declared.
   */
  create(id: SegmentId, options: CreateOptions): Promise<SegmentWriter>;

  /**
   * Fences every writer of a lower or equal epoch durably, finds the end (everything that was acknowledged, and possibly
   * whole appends that were not), seals the segment there. Idempotent: again after success, or after a crash in the middle
   * of itself, it gives the same end.
   * May be called while another call of it runs, also with the same epoch (by one node: no two nodes ever have one): all that resolve give one end.
   * @throws SEGMENT_UNKNOWN when it certainly never existed here; SEGMENT_LOST when it did, or may have, and is gone;
   * CORRUPT when proven data is damaged; FENCED (outcome none) when the segment saw a higher epoch; IO_ERROR, retryable if it may heal.
   */
  recover(id: SegmentId, options: { readonly epoch: number }): Promise<{ readonly end: number }>;

  /**
   * Publishes one complete, sealed segment, all or nothing: readers see it whole once this has resolved, and never a part.
   * `batches` yields chunks of whole batches in offset order, from the first at or above `base` up to `end`; offsets may have holes
   * (compacted). Idempotent by `uid`: the same id and uid again gives the same result, another uid SEGMENT_EXISTS.
   * A failure leaves nothing visible and nothing that is never swept.
   */
  ingest(id: SegmentId, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult>;

  /**
   * Opens a reader of a sealed segment.
   * @throws SEGMENT_UNKNOWN, SEGMENT_LOST, SEGMENT_NOT_SEALED, CORRUPT.
   */
  openReader(id: SegmentId): Promise<SegmentReader>;

  /** Deletes a segment in any state, fencing its writer. Idempotent. Readers that are open may fail with SEGMENT_UNKNOWN. */
  delete(id: SegmentId): Promise<void>;

  /** Ids in ascending order (by UTF-16 code unit), those with `prefix` and above `after`, at most `limit`. */
  list(options: { readonly prefix: string; readonly after?: SegmentId; readonly limit: number }): Promise<SegmentId[]>;

  /** For engines whose store can be read without this cluster: where segments lie there, and manifests that list them. */
  readonly shelf?: ArchiveShelf | undefined;

  /** Housekeeping that core schedules, within a budget of requests for engines that pay for them. It ends soon after `signal` has aborted: who leaves waits for it. */
  maintain?(options: { readonly requestBudget: number; readonly signal: AbortSignal }): Promise<void>;

  /** Settles everything in flight, releases every file, socket, timer and thread. What was not acknowledged may be lost. Idempotent. */
  close(): Promise<void>;
}

/** Where a sealed segment lies, in the engine's own words, as JSON: all that its `openArchive` needs to read it. */
export type ArchivePlace = Readonly<Record<string, unknown>>;

/** Core writes what it archives into numbered manifests beside the data, so that the store can be read by itself. */
export interface ArchiveShelf {
  /** A place never changes. @throws SEGMENT_UNKNOWN, SEGMENT_LOST, SEGMENT_NOT_SEALED */
  place(id: SegmentId): Promise<ArchivePlace>;
  /**
   * Stores an immutable manifest, whole once this has resolved. Core never uses a number twice but to send the same bytes again; numbers grow.
   * @throws IO_ERROR
   */
  putManifest(number: number, bytes: Uint8Array): Promise<void>;
  /** Idempotent, also for a number that was never used. @throws IO_ERROR */
  deleteManifest(number: number): Promise<void>;
}

/** A segment as a manifest names it. */
export interface ShelvedSegment {
  readonly id: SegmentId;
  readonly base: number;
  readonly end: number;
  readonly epoch: number;
  readonly bytes: number;
  readonly crc: number;
  readonly place: ArchivePlace;
}

export interface ArchiveContext<Config = unknown>
  extends Pick<EngineContext<Config>, 'config' | 'clock' | 'random' | 'logger' | 'signal'> {
  /** Which cluster's, when the store holds more than one. */
  readonly cluster?: string;
}

/** The store by itself. The only place from which an engine may list its store. */
export interface ArchiveReader {
  /** The cluster that is read. */
  readonly cluster: string;
  /**
   * Numbers in ascending order, above `after`. The newest is among them, also where the store's listing lags: numbers grow by one, those of writes that failed are
   * missing for good.
   */
  manifests(options: { readonly after?: number; readonly limit: number }): Promise<number[]>;
  /** @throws CORRUPT, IO_ERROR */
  readManifest(number: number): Promise<Uint8Array>;
  /** A reader of a segment at a place that a manifest names. @throws SEGMENT_LOST when it is not there, CORRUPT */
  openReader(place: ArchivePlace): Promise<SegmentReader>;
  /** What lies in the store and holds segments, and when it was put there, as its listing shows it: `verify` reports what no manifest lists. */
  objects(): AsyncIterable<{ readonly name: string; readonly bytes: number; readonly putAt: number }>;
  /** The name that {@link ArchiveReader.objects} gives what holds the segment at `place`. */
  objectOf(place: ArchivePlace): string;
  /**
   * Fills `meta`, an instance's part of one, so that an instance that is opened with it has these segments, where they lie; nothing in the store changes. The
   * cluster that wrote them is gone for good. May be called again with the same or more segments: a restore may be interrupted.
   * @returns the incarnation that the instance will have
   * @throws INSTANCE_CHANGED when `meta` knows another medium
   */
  adopt(meta: Meta, segments: readonly ShelvedSegment[]): Promise<{ readonly incarnation: string }>;
  close(): Promise<void>;
}

export interface CreateOptions {
  /** The offset of the first record. */
  readonly base: number;
  /** Of the ownership in which the segment is written. */
  readonly epoch: number;
  /** The topic's settings for this engine, if it takes any. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly state: SegmentState;
}

export interface IngestOptions {
  readonly base: number;
  /** One past the last offset the segment stands for; at or above the last batch's. */
  readonly end: number;
  readonly epoch: number;
  readonly state: SegmentState;
  /** Names this attempt. */
  readonly uid: string;
  /** How many bytes come, about, where that is known: a compacted copy has fewer. */
  readonly bytes?: number;
}

export interface IngestResult {
  /** Bytes of all batches. */
  readonly bytes: number;
  /** CRC32C over the first 61 bytes (the header) of each batch in order; each header holds its batch's own CRC. */
  readonly crc: number;
}

export interface SegmentOffsets {
  readonly base: number;
  /** Offsets below this are durable as declared and readable. Never goes back. */
  readonly committed: number;
  /** One past the last offset taken, committed or not. Equal to `committed` once sealed. */
  readonly end: number;
  readonly sealed: boolean;
}

export interface SegmentReader {
  offsets(): SegmentOffsets;
  /** What `create` or `ingest` was given. */
  state(): Promise<SegmentState>;
  /**
   * Whole batches from the one that holds `from` (in a hole: the next one), at least one, even if it is larger than `maxBytes`, if
   * any is committed there; then as many more as fit in `maxBytes` and lie in a row in the store. Nothing at or past `committed`.
   * The bytes are never changed afterwards; the caller may keep them. `from` is in [base, committed]; at `committed` it gives no bytes.
   * Says CORRUPT when what it keeps beside the batches is damaged; the wrapper checks each batch's own CRC.
   */
  read(from: number, options: { readonly maxBytes: number; readonly signal?: AbortSignal }): Promise<SegmentRead>;
  /**
   * The base offset of the first committed batch whose largest timestamp is at or above `timestamp` (milliseconds), if there is one.
   * Batches need not be in the order of their timestamps.
   */
  offsetForTimestamp(timestamp: number): Promise<number | undefined>;
  close(): Promise<void>;
}

export interface SegmentRead {
  /** Zero or more whole batches, one behind the other. */
  readonly bytes: Uint8Array;
  /** Where to go on: one past the last offset in `bytes`; in a hole that reaches the end, the end. */
  readonly next: number;
}

/**
 * The one that writes. It can read what it has committed, too.
 *
 * A failure after admission fails the writer for good, and everything in flight behind it: core then calls `recover`, which
 * tells what was applied.
 */
export interface SegmentWriter extends SegmentReader {
  /**
   * Appends `batches` (each one whole record batch, offsets written in, dense from `base`) as one atomic unit, and resolves once they
   * are durable as declared. Appends take effect and settle in call order. One append has at most 2 * `maxBatchBytes`. The bytes belong to the
   * caller again once it has settled; when only the wait was stopped (ABORTED, unknown), once a `flush` after it has.
   * Refused with outcome none, and the writer goes on: OFFSET_MISMATCH unless `base` is the end of what was dispatched;
   * BACKPRESSURE without credit; DISK_FULL; SEGMENT_MUST_ROLL when the segment has its share or its medium has changed, never while it is empty;
   * ABORTED when `signal` was aborted already. Later it only stops the wait, outcome unknown: whether the append was refused then nobody is told, so
   * `flush` first, and go on at `offsets().end`.
   * Outcome unknown, and the writer has failed: IO_ERROR, FENCED, WRITER_FAILED, TIMEOUT, CLOSED when the engine is closed before it has settled.
   */
  append(
    batches: readonly Uint8Array[],
    options: { readonly base: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly next: number }>;
  /**
   * Credit: `undefined` when `bytes` may be appended now, else a promise for the moment when they may. The window is at least twice `maxBatchBytes`.
   * Rejects when the writer has failed.
   */
  ready(bytes: number): Promise<void> | undefined;
  /** Resolves when all appends so far have settled. */
  flush(): Promise<void>;
  /** Waits for what is in flight, then seals durably. Later appends are refused with SEGMENT_SEALED. Idempotent. */
  seal(): Promise<{ readonly end: number }>;
}
