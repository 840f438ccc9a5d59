import {
  type SegmentOffsets,
  type SegmentRead,
  type SegmentState,
  type SegmentWriter,
  StorageError,
} from '@robustmq/core';
import type { Budget } from './budget.ts';
import { MemoryReader } from './memory-reader.ts';
import type { Segment } from './segment.ts';

/** An append is applied in the call itself: nothing is ever in flight. */
export class MemoryWriter implements SegmentWriter {
  readonly #id: string;
  readonly #segment: Segment;
  readonly #budget: Budget;
  readonly #shareBytes: number;
  readonly #reader: MemoryReader;
  #fenced: StorageError | undefined;

  constructor(id: string, segment: Segment, budget: Budget, shareBytes: number) {
    this.#id = id;
    this.#segment = segment;
    this.#budget = budget;
    this.#shareBytes = shareBytes;
    this.#reader = new MemoryReader(segment);
  }

  /** Ends this writer: another epoch has taken the segment over, or it is gone. */
  fence(error: StorageError): void {
    this.#fenced ??= error;
    this.#budget.refuseWaiters(error, this);
  }

  async append(batches: readonly Uint8Array[], options: { readonly base: number }): Promise<{ readonly next: number }> {
    const segment = this.#segment;
    if (this.#fenced !== undefined) throw this.#fenced;
    if (segment.sealed) throw new StorageError('SEGMENT_SEALED', 'The segment is sealed', { where: this.#id });
    if (options.base !== segment.end)
      throw new StorageError('OFFSET_MISMATCH', `${segment.end} is next`, { where: this.#id });
    const bytes = sizeOf(batches);
    // an empty segment takes anything, or a large append would roll for ever
    if (segment.bytes > 0 && segment.bytes + bytes > this.#shareBytes)
      throw new StorageError('SEGMENT_MUST_ROLL', `The segment has its share of ${this.#shareBytes} bytes`, {
        where: this.#id,
      });
    if (!this.#budget.hasRoom(bytes)) throw this.#budget.full(this.#id);
    for (const batch of batches) segment.put(batch);
    return { next: segment.end };
  }

  ready(bytes: number): Promise<void> | undefined {
    if (this.#fenced !== undefined) return Promise.reject(this.#fenced);
    return this.#budget.hasRoom(bytes) ? undefined : this.#budget.waitFor(bytes, this);
  }

  async flush(): Promise<void> {}

  async seal(): Promise<{ readonly end: number }> {
    if (this.#fenced !== undefined) throw this.#fenced;
    this.#segment.sealed = true;
    this.#budget.refuseWaiters(new StorageError('SEGMENT_SEALED', 'The segment is sealed', { where: this.#id }), this);
    return { end: this.#segment.end };
  }

  offsets(): SegmentOffsets {
    return this.#reader.offsets();
  }

  state(): Promise<SegmentState> {
    return this.#reader.state();
  }

  read(from: number, options: { readonly maxBytes: number }): Promise<SegmentRead> {
    return this.#reader.read(from, options);
  }

  offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#reader.offsetForTimestamp(timestamp);
  }

  async close(): Promise<void> {
    this.#budget.refuseWaiters(new StorageError('CLOSED', 'The writer is closed', { where: this.#id }), this);
  }
}

function sizeOf(batches: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const batch of batches) bytes += batch.length;
  return bytes;
}
