import {
  type SegmentOffsets,
  type SegmentRead,
  type SegmentReader,
  type SegmentState,
  StorageError,
} from '@robustmq/core';
import type { SegmentLog } from './segment-log.ts';

/** Reads a sealed segment. */
export class SealedReader implements SegmentReader {
  readonly #log: SegmentLog;
  readonly #state: () => Promise<SegmentState>;

  constructor(log: SegmentLog, state: () => Promise<SegmentState>) {
    this.#log = log;
    this.#state = state;
  }

  offsets(): SegmentOffsets {
    const { base, end } = this.#log;
    return { base, committed: end, end, sealed: true };
  }

  state(): Promise<SegmentState> {
    return this.#state();
  }

  read(from: number, options: { readonly maxBytes: number; readonly signal?: AbortSignal }): Promise<SegmentRead> {
    if (options.signal?.aborted === true) return Promise.reject(aborted(this.#log));
    return this.#log.read(from, options.maxBytes);
  }

  offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#log.offsetForTimestamp(timestamp);
  }

  /** Files belong to the cache: there is nothing to let go of. */
  async close(): Promise<void> {}
}

export function aborted(log: SegmentLog): StorageError {
  return new StorageError('ABORTED', 'The read was given up', { where: `segment ${log.id}` });
}
