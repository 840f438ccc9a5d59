import { isStorageError, readHeader, type SegmentOffsets, type SegmentWriter, StorageError } from '@robustmq/core';
import type { OneFileEngine, Segment } from './one-file-engine.ts';
import type { OneFileLog } from './one-file-log.ts';
import { OneFileReader } from './one-file-reader.ts';

export const MAX_BATCH_BYTES: number = 1024 * 1024;
const WINDOW_BYTES = 4 * MAX_BATCH_BYTES;

export class OneFileWriter extends OneFileReader implements SegmentWriter {
  protected readonly engine: OneFileEngine;
  /** One past the last offset that was sent on its way. */
  protected dispatched: number;
  protected failure: StorageError | undefined;
  #sealing: Promise<{ readonly end: number }> | undefined;
  #inFlightBytes = 0;
  #inFlight: Promise<unknown> = Promise.resolve();
  #waiting: (() => void)[] = [];

  constructor(segment: Segment, engine: OneFileEngine, log: OneFileLog) {
    super(segment, log);
    this.engine = engine;
    this.dispatched = segment.end;
  }

  override offsets(): SegmentOffsets {
    const { base, end, sealed } = this.segment;
    return { base, committed: end, end: sealed ? end : Math.max(end, this.dispatched), sealed };
  }

  /** Nothing is taken from now on. */
  fail(error: StorageError): void {
    this.failure ??= error;
    this.#wake();
  }

  append(batches: readonly Uint8Array[], { base }: { readonly base: number }): Promise<{ readonly next: number }> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.#sealing !== undefined || this.segment.sealed)
      return Promise.reject(new StorageError('SEGMENT_SEALED', 'The segment is sealed', { where: this.segment.id }));
    if (base !== this.dispatched)
      return Promise.reject(new StorageError('OFFSET_MISMATCH', `${this.dispatched} is next`));
    const bytes = batches.reduce((sum, { length }) => sum + length, 0);
    this.#inFlightBytes += bytes;
    this.dispatched = batches.reduce((next, batch) => next + readHeader(batch).lastOffsetDelta + 1, base);
    const appended = this.store(batches, base, this.dispatched).finally(() => {
      this.#inFlightBytes -= bytes;
      this.#wake();
    });
    this.#inFlight = Promise.allSettled([this.#inFlight, appended]);
    return appended;
  }

  ready(bytes: number): Promise<void> | undefined {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.#inFlightBytes === 0 || this.#inFlightBytes + bytes <= WINDOW_BYTES) return undefined;
    return new Promise<void>((resolve) => this.#waiting.push(resolve)).then(() => this.ready(bytes));
  }

  async flush(): Promise<void> {
    await this.#inFlight;
  }

  seal(): Promise<{ readonly end: number }> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.#sealing ??= this.#seal();
    return this.#sealing;
  }

  override async close(): Promise<void> {
    this.fail(new StorageError('CLOSED', 'The writer is closed'));
    await this.#inFlight;
  }

  protected async store(
    batches: readonly Uint8Array[],
    base: number,
    next: number,
  ): Promise<{ readonly next: number }> {
    try {
      await this.engine.write({ does: 'append', id: this.segment.id, base }, ...batches);
    } catch (error) {
      // nothing was taken of a full disk: the same append may come again
      if (isStorageError(error, 'DISK_FULL')) this.dispatched = this.segment.end;
      else if (isStorageError(error)) this.failure ??= error;
      throw error;
    }
    if (this.segment.end >= next) return { next };
    throw new StorageError('OFFSET_MISMATCH', 'An append in front of it was refused');
  }

  async #seal(): Promise<{ readonly end: number }> {
    try {
      await this.engine.write({ does: 'seal', id: this.segment.id });
    } catch (error) {
      this.#sealing = undefined;
      throw error;
    }
    return { end: this.segment.end };
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
