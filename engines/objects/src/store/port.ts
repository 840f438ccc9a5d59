/**
 * The object store as this engine needs it: nine calls, behind which stands a client library. Everything above this line works with any of them;
 * everything that is particular to a library, its retries and its errors stays below it.
 *
 * An implementation makes one attempt a call (no retries of its own: whoever retries must know what may have been applied), gives up after
 * its configured time, and throws nothing but {@link StoreError}.
 */

export interface ObjectStore {
  /** What it is connected to, for messages: `http://127.0.0.1:9000/bucket`. */
  readonly where: string;

  /** Stores a whole object. The chunks are not changed until it has settled. */
  put(key: string, body: readonly Uint8Array[], options: PutOptions): Promise<void>;
  /** Exactly `bytes` bytes from `at`. @throws `not-found`, `truncated` when there are fewer, `wrong-range` when the answer is about others */
  getRange(key: string, at: number, bytes: number, options?: CallOptions): Promise<Uint8Array>;
  /** The last `bytes` bytes, or the whole object when it has fewer, and how large it is. */
  getTail(
    key: string,
    bytes: number,
    options?: CallOptions,
  ): Promise<{ readonly bytes: Uint8Array; readonly size: number }>;
  /** `undefined` when there is no such object. `uid`: what it was put with, if anything. */
  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined>;
  /** In ascending order of UTF-8 bytes, above `after`. What was put or deleted lately may be missing or still there on some stores. */
  list(options: ListOptions): Promise<{
    readonly objects: readonly ListedObject[];
    readonly prefixes: readonly string[];
    readonly more: boolean;
  }>;
  /** Idempotent: an object that is not there is deleted. */
  delete(key: string, options?: CallOptions): Promise<void>;

  /** Begins an object that is put in parts. @returns the upload's id */
  beginUpload(key: string, options: PutOptions): Promise<string>;
  /** `part` counts from 1; all but the last have at least {@link MIN_PART_BYTES}. @returns what `completeUpload` wants for it */
  putPart(
    key: string,
    upload: string,
    part: number,
    body: readonly Uint8Array[],
    options?: CallOptions,
  ): Promise<string>;
  /** The object is there, whole, once this has resolved. */
  completeUpload(key: string, upload: string, parts: readonly string[], options?: CallOptions): Promise<void>;
  /** Idempotent. */
  abortUpload(key: string, upload: string, options?: CallOptions): Promise<void>;

  /** Closes its connections. */
  close(): void;
}

/** What a store of files can besides. */
export interface FileStore extends ObjectStore {
  /** From now on what is not whole yet lies in this folder (a key that ends in `/`), which one process has to itself. */
  workIn(folder: string): void;
  /** How many files of failures lie in that folder, as far as is known. */
  readonly left: number;
  /** Deletes a few of them. */
  tidyUp(options?: CallOptions): Promise<void>;
  /** With all that is in it; idempotent. */
  deleteFolder(folder: string, options?: CallOptions): Promise<void>;
  /**
   * Adds to the end of a file that has `at` bytes, which is made when there are none. Nobody else appends to it; after a failure the caller does not either. What
   * was added can be read once this has resolved, and will not be lost. Chunks are read once.
   */
  append(
    key: string,
    at: number,
    body: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
    options?: CallOptions,
  ): Promise<void>;
}

export function isFileStore(store: ObjectStore): store is FileStore {
  return 'append' in store;
}

export const MIN_PART_BYTES: number = 5 * 1024 * 1024;

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface PutOptions extends CallOptions {
  /** Stored as metadata: tells an object of ours from one of another attempt after a reply was lost. */
  readonly uid: string;
  /** Only when there is none of that name: `If-None-Match: *`. Never relied upon alone: not every store keeps it. */
  readonly ifAbsent?: boolean;
}

export interface ListOptions extends CallOptions {
  readonly prefix: string;
  readonly after?: string;
  readonly limit: number;
  /** Names up to the first of these behind `prefix` are given once, as `prefixes`. */
  readonly delimiter?: string;
}

export interface ObjectInfo {
  readonly bytes: number;
  readonly uid: string | undefined;
}

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since 1970, by the store's clock. */
  readonly putAt: number;
}

/** What went wrong, as far as what to do next depends on it. */
export type StoreTrouble =
  /** No such object. */
  | 'not-found'
  /** 412: a conditional create found one. */
  | 'exists'
  /** 409: two conditional requests met; to be asked again. */
  | 'conflict'
  /** 503 SlowDown, 429: to be asked again, later. */
  | 'slow-down'
  /** Connection refused, reset, cut, also in the middle of a body; a name that does not resolve; a body that was damaged on its way. */
  | 'unreachable'
  | 'timeout'
  /** 500, 502, 504 and the like. */
  | 'server'
  /** The server that was asked does not serve at the moment (a standby), and none of the others does. */
  | 'not-active'
  /** It takes no writes at the moment: safe mode. */
  | 'read-only'
  /** The object was being written when the servers that hold it ended, and can't be read until the store has closed it. */
  | 'unclosed'
  /** The store has no room: 507, MinIO's XMinioStorageFull, QuotaExceeded. */
  | 'full'
  /** Fewer bytes than were asked for. */
  | 'truncated'
  /** Other bytes than were asked for: a wrong Content-Range, 200 in place of 206. */
  | 'wrong-range'
  /** 403 AccessDenied. */
  | 'denied'
  /** No credentials were found, or the store does not know them: InvalidAccessKeyId, SignatureDoesNotMatch. */
  | 'credentials'
  /** ExpiredToken, RequestExpired: credentials were good once. */
  | 'expired'
  /** RequestTimeTooSkewed. */
  | 'clock-skew'
  /** NoSuchBucket. */
  | 'no-bucket'
  /** 301 PermanentRedirect, AuthorizationHeaderMalformed: the bucket lies in another region. */
  | 'wrong-region'
  /** The place where everything lies was there, and is not. */
  | 'gone'
  /** NoSuchUpload. */
  | 'no-upload'
  /** Whoever called gave up. */
  | 'aborted'
  /** Anything else the store refuses (400, 405, 501 ...). */
  | 'refused';

const BRAND = Symbol.for('robustmq.store-error');

/** Branded, so that `instanceof` works across two copies of this package. */
export class StoreError extends Error {
  readonly trouble: StoreTrouble;
  /** False: certainly not carried out. */
  readonly mayBeApplied: boolean;
  /** The store's own code (`NoSuchKey`) and HTTP status, where it gave any. */
  readonly code: string | undefined;
  readonly status: number | undefined;

  constructor(
    trouble: StoreTrouble,
    message: string,
    details: {
      readonly mayBeApplied: boolean;
      readonly code?: string | undefined;
      readonly status?: number | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'StoreError';
    this.trouble = trouble;
    this.mayBeApplied = details.mayBeApplied;
    this.code = details.code;
    this.status = details.status;
    Object.defineProperty(this, BRAND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
  }
}
