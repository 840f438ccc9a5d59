/**
 * Every error that leaves a package carries a stable `code`, says what happened and where, and what to do about it.
 * Storage errors also carry an `outcome`: whether the operation may have been applied. Codes are documented in
 * docs/errors.md; a test keeps the two in step.
 */

/** `none`: certainly not applied. `unknown`: may have been applied, or may show up later. */
export type Outcome = 'none' | 'unknown';

export interface ErrorDetails {
  /** What the reader can do about it, as one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable?: boolean;
}

const ROBUST = Symbol.for('robustmq.error');
const STORAGE = Symbol.for('robustmq.storage-error');

/** The base of all errors of this project. Branded by `Symbol.for`, so `instanceof` works across two copies of a package. */
export class RobustError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly retryable: boolean;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'RobustError';
    this.code = code;
    this.hint = details.hint;
    this.retryable = details.retryable ?? false;
    Object.defineProperty(this, ROBUST, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this === RobustError) return hasBrand(value, ROBUST);
    return Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

/** Codes of the storage layer: engines, shards, topics and Meta. */
export const STORAGE_CODES = {
  // the caller's mistake; never applied
  INVALID_ARGUMENT: { outcome: 'none', retryable: false },
  NOT_SUPPORTED: { outcome: 'none', retryable: false },
  BATCH_INVALID: { outcome: 'none', retryable: false },
  BATCH_TOO_LARGE: { outcome: 'none', retryable: false },
  OFFSET_MISMATCH: { outcome: 'none', retryable: false },
  SEGMENT_EXISTS: { outcome: 'none', retryable: false },
  SEGMENT_SEALED: { outcome: 'none', retryable: false },
  SEGMENT_NOT_SEALED: { outcome: 'none', retryable: false },
  OFFSET_TRIMMED: { outcome: 'none', retryable: false },
  OFFSET_BEYOND_END: { outcome: 'none', retryable: false },
  // the state of the storage
  SEGMENT_UNKNOWN: { outcome: 'none', retryable: false },
  SEGMENT_LOST: { outcome: 'none', retryable: false },
  SEGMENT_MUST_ROLL: { outcome: 'none', retryable: true },
  CORRUPT: { outcome: 'none', retryable: false },
  DISK_FULL: { outcome: 'none', retryable: true },
  BACKPRESSURE: { outcome: 'none', retryable: true },
  FENCED: { outcome: 'unknown', retryable: false },
  WRITER_FAILED: { outcome: 'unknown', retryable: true },
  IO_ERROR: { outcome: 'unknown', retryable: false },
  TIMEOUT: { outcome: 'unknown', retryable: true },
  ABORTED: { outcome: 'none', retryable: false },
  CLOSED: { outcome: 'none', retryable: true },
  DIRECTORY_LOCKED: { outcome: 'none', retryable: true },
  FORMAT_TOO_NEW: { outcome: 'none', retryable: false },
  INSTANCE_CHANGED: { outcome: 'none', retryable: false },
  // a store behind an engine
  STORE_UNAVAILABLE: { outcome: 'unknown', retryable: true },
  STORE_DENIED: { outcome: 'none', retryable: true },
  STORE_MISCONFIGURED: { outcome: 'none', retryable: false },
  // shards and topics
  NOT_OWNER: { outcome: 'none', retryable: true },
  NODE_DOWN: { outcome: 'none', retryable: true },
  TOPIC_UNKNOWN: { outcome: 'none', retryable: false },
  TOPIC_EXISTS: { outcome: 'none', retryable: false },
  TOPIC_INVALID: { outcome: 'none', retryable: false },
  SHARD_UNKNOWN: { outcome: 'none', retryable: false },
  ENGINE_UNKNOWN: { outcome: 'none', retryable: false },
  WEAKER_DURABILITY: { outcome: 'none', retryable: false },
  SEQUENCE_GAP: { outcome: 'none', retryable: false },
  PRODUCER_FENCED: { outcome: 'none', retryable: false },
  // Meta
  META_GUARD_FAILED: { outcome: 'none', retryable: true },
  META_LIMIT: { outcome: 'none', retryable: false },
  META_COMPACTED: { outcome: 'none', retryable: true },
  META_UNAVAILABLE: { outcome: 'unknown', retryable: true },
} as const;

export type StorageCode = keyof typeof STORAGE_CODES;

export interface StorageErrorDetails extends ErrorDetails {
  /** Overrides the code's usual outcome: an abort before admission is `none`, one after it is `unknown`. */
  readonly outcome?: Outcome;
  /** Which segment, shard, topic, file or key. */
  readonly where?: string;
  /** Offsets that help the caller to go on: `start` is the first readable one, `end` the next one to be written. */
  readonly offsets?: { readonly start: number; readonly end: number };
}

export class StorageError extends RobustError {
  declare readonly code: StorageCode;
  readonly outcome: Outcome;
  readonly where: string | undefined;
  readonly offsets: { readonly start: number; readonly end: number } | undefined;

  constructor(code: StorageCode, message: string, details: StorageErrorDetails = {}) {
    super(code, details.where === undefined ? message : `${message} (${details.where})`, {
      ...details,
      retryable: details.retryable ?? STORAGE_CODES[code].retryable,
    });
    this.name = 'StorageError';
    this.outcome = details.outcome ?? STORAGE_CODES[code].outcome;
    this.where = details.where;
    this.offsets = details.offsets;
    Object.defineProperty(this, STORAGE, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasBrand(value, STORAGE);
  }
}

/** True for a {@link StorageError}, of one of the given codes when any are named. */
export function isStorageError(value: unknown, ...codes: StorageCode[]): value is StorageError {
  return hasBrand(value, STORAGE) && (codes.length === 0 || codes.includes((value as StorageError).code));
}

/** One line for a log or a terminal: code, message, hint. */
export function describeError(error: unknown): string {
  if (!(error instanceof RobustError)) return error instanceof Error ? (error.stack ?? error.message) : String(error);
  const known = error as RobustError;
  return `${known.code}: ${messageWithHint(known)}`;
}

/** An error as JSON says it. */
export interface ToldError {
  readonly code: string;
  readonly message: string;
  /** What to do. */
  readonly hint?: string;
}

export function toldError({ code, message, hint }: ToldError | RobustError): ToldError {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

/** Where the code stands elsewhere. */
export function messageWithHint({ message, hint }: Omit<ToldError, 'code'> | RobustError): string {
  return hint === undefined ? message : `${message}. ${hint}`;
}

function hasBrand(value: unknown, brand: symbol): boolean {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true;
}
