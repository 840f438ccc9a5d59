/**
 * What the engine itself calls: {@link ObjectStore} with patience. Asks again until it knows, within a time; counts each request
 * against the budget and for the topic that it is made for; ends in typed errors that say what to do.
 */
import type { ListedObject, ObjectInfo } from './port.ts';

/** For whom a request is made: segments with their shares of it, which add up to 1. Nobody: housekeeping. */
export type Shares = readonly { readonly segment: string; readonly share: number }[];

export interface SteadyOptions {
  readonly for?: Shares;
  readonly signal?: AbortSignal;
  /** How long it keeps trying, in ms; the configured time by default. */
  readonly patienceMs?: number;
  /**
   * `cold` reads have connections and a rate of their own, so that they delay nobody else. `hot`: reads and writes of live data. `upkeep`: compaction, sweeping.
   * `hot` by default.
   */
  readonly lane?: Lane;
  /**
   * Of a put: told when a try of it ended without a word, although another one was answered. That try may still arrive: also after the object has been deleted, and
   * then it is there again.
   */
  readonly strayed?: () => void;
}

export type Lane = 'hot' | 'cold' | 'upkeep';

/** Keys are the whole keys in the bucket. Every method throws nothing but StorageError. */
export interface SteadyStore {
  readonly where: string;
  /**
   * Stores an object under a key that is nobody else's: sent again after a lost reply it is the same object. Where the probe has found
   * conditional creates to be atomic it is created conditionally; finding its own (by uid) is success, another's `SEGMENT_EXISTS`.
   */
  put(key: string, body: readonly Uint8Array[], uid: string, options?: SteadyOptions): Promise<void>;
  /** @throws SEGMENT_LOST when the object is not there, CORRUPT when it is shorter, IO_ERROR */
  getRange(key: string, at: number, bytes: number, options?: SteadyOptions): Promise<Uint8Array>;
  getTail(
    key: string,
    bytes: number,
    options?: SteadyOptions,
  ): Promise<{ readonly bytes: Uint8Array; readonly size: number }>;
  head(key: string, options?: SteadyOptions): Promise<ObjectInfo | undefined>;
  list(
    options: SteadyOptions & {
      readonly prefix: string;
      readonly after?: string;
      readonly limit: number;
      readonly delimiter?: string;
    },
  ): Promise<{
    readonly objects: readonly ListedObject[];
    readonly prefixes: readonly string[];
    readonly more: boolean;
  }>;
  delete(key: string, options?: SteadyOptions): Promise<void>;
  /**
   * Stores an object of any size from a stream of chunks, in parts of `partBytes` put by several at once; below one part with a single put. `begun` is told an upload's id
   * before its first part, and waited for. A failure aborts the upload. @returns bytes stored
   */
  putStream(
    key: string,
    chunks: AsyncIterable<Uint8Array>,
    uid: string,
    options: SteadyOptions & { readonly partBytes: number; readonly begun?: (upload: string) => Promise<void> },
  ): Promise<number>;
  abortUpload(key: string, upload: string, options?: SteadyOptions): Promise<void>;
  /** Of a store of files: one try. @throws NOT_SUPPORTED elsewhere */
  append(
    key: string,
    at: number,
    body: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
    options?: SteadyOptions,
  ): Promise<void>;
  deleteFolder(folder: string, options?: SteadyOptions): Promise<void>;
  /** Of a store of files: deletes a few of those that failures have left. @returns whether there were any */
  tidyUp(options?: SteadyOptions): Promise<boolean>;
  /** Rejects what waits, with CLOSED, and closes the connections. */
  close(): Promise<void>;
}
