/**
 * The world as code in this project sees it. Whatever is not a pure function of its input comes in through here, so that a
 * test can replay a run from its seed and fail any single step: time, chance, files, log lines, metrics.
 */

export interface Clock {
  /** Milliseconds that only ever grow, with a fraction; the zero point means nothing. */
  monotonic(): number;
  /** Milliseconds since 1970 as the machine believes them; may jump. */
  wall(): number;
  /** Calls `run` once after `delayMs`. The timer does not keep the process alive. */
  timer(delayMs: number, run: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A version 4 UUID in lower case. */
  uuid(): string;
}

/** The subset of pino's interface that is used here. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

/** Names start with `robust_`, base units (bytes, seconds), and are listed in docs/metrics.md. Labels stay few and bounded. */
export interface Metrics {
  counter(name: string, help: string, labels?: Readonly<Record<string, string>>): Counter;
  /** A value read only when somebody scrapes. */
  gauge(name: string, help: string, read: () => number, labels?: Readonly<Record<string, string>>): void;
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: Readonly<Record<string, string>>,
  ): Histogram;
}

/** Hot paths add to `value` directly; it is read when somebody scrapes. */
export interface Counter {
  value: number;
}

export interface Histogram {
  observe(value: number): void;
}

/**
 * All file I/O of first-party engines goes through this, so that faults can be put in at every step. Errors are Node's own
 * (`error.code` is `ENOENT`, `ENOSPC`, `EIO`, ...). Writes at a position; no implicit file offset.
 */
export interface FileSystem {
  open(path: string, flags: 'r' | 'r+' | 'w+' | 'wx+'): Promise<FileHandle>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  readdir(path: string): Promise<string[]>;
  mkdir(path: string): Promise<void>;
  /** Makes creations, renames and unlinks in `path` durable. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that an unprivileged process may still write on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>;
  /**
   * The same file system for a worker thread, as a module to import there, since functions do not cross threads: its export
   * `createSyncFileSystem(options)` returns a {@link SyncFileSystem}, or a promise of one.
   */
  readonly worker: { readonly module: string; readonly options: unknown };
}

export interface FileHandle {
  /** Reads up to `length` bytes; fewer only at the end of the file. */
  read(into: Uint8Array, intoOffset: number, length: number, position: number): Promise<number>;
  /** Writes all of the bytes or fails. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  datasync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** Blocking file I/O for a worker thread whose only job is one disk. */
export interface SyncFileSystem {
  /** `'r+ds'` and `'wx+ds'` open with O_DSYNC: a write that has returned is on the disk. */
  open(path: string, flags: 'r' | 'r+' | 'wx+' | 'r+ds' | 'wx+ds'): number;
  read(fd: number, into: Uint8Array, position: number): number;
  /** Writes all buffers one behind the other at `position`, or fails. */
  writev(fd: number, buffers: readonly Uint8Array[], position: number): void;
  datasync(fd: number): void;
  close(fd: number): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  syncDirectory(path: string): void;
}
