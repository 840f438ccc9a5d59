/**
 * What the main thread and the WAL worker share: the ring that entries are copied into, a few counters, and the few messages beside
 * them. The counters are 32 bits wide and wrap; the ring is smaller than 2^31 bytes, so their differences are exact.
 */
export const CONTROL = {
  /** Bytes of entries that the main thread has made ready, ever. */
  published: 0,
  /** 1 while the worker sleeps on `wake`. */
  sleeping: 1,
  /** Changed whenever the worker must look around. */
  wake: 2,
  /** Changed with every message to the worker. */
  mail: 3,
  /** Odd while the worker changes the three below, which belong together. */
  turn: 4,
  /** Of the published bytes, those on the disk. */
  durable: 5,
  /** Where the next group goes: the file, and the place in it. */
  sequence: 6,
  offset: 7,
  /** 1 from the worker's `progress` until the main thread has seen all there was to see: one such message is under way at most. */
  told: 8,
} as const;

export const CONTROL_INTS = 9;

export interface WorkerStart {
  readonly ring: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly fs: { readonly module: string; readonly options: unknown };
  readonly dir: string;
  readonly fileBytes: number;
  readonly generation: number;
  /** Where the entries of this generation begin. */
  readonly position: number;
}

/** A file the worker may use next. */
export interface FileGrant {
  readonly path: string;
  readonly sequence: number;
  /** Bytes at the beginning that were written before: they need no new blocks. 0: the file does not exist yet. */
  readonly zeroedBytes: number;
}

export type ToWorker =
  | { readonly kind: 'file'; readonly file: FileGrant }
  /** After a failure: everything published until now is void; go on at `position` in the file that was granted last. */
  | { readonly kind: 'resume'; readonly position: number; readonly published: number; readonly ringOffset: number }
  /** There may be room again. */
  | { readonly kind: 'retry' }
  | { readonly kind: 'stop' };

export type FromWorker =
  /** More is on the disk: the counters say how much. */
  | { readonly kind: 'progress' }
  /** The worker has left a file behind, full. */
  | { readonly kind: 'left'; readonly sequence: number; readonly zeroedBytes: number }
  /** It has no room for the next group, has written nothing of it, and waits for `retry`. */
  | { readonly kind: 'full'; readonly detail: string }
  /** A write failed: what was published and is not durable may or may not be there. It waits for `file` and `resume`. */
  | { readonly kind: 'failed'; readonly code: string; readonly detail: string; readonly sequence: number }
  | { readonly kind: 'stopped' };
