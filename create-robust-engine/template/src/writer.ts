import { nextOffset, readHeader, type SegmentWriter, StorageError } from '@robustmq/core';
import type { Credit } from './credit.ts';
import type { Log } from './log.ts';
import { Reader } from './reader.ts';
import type { Segment } from './segment.ts';

export class Writer extends Reader implements SegmentWriter {
  readonly #id: string;
  readonly #segment: Segment;
  readonly #log: Log;
  readonly #credit: Credit;
  /** The end of what is on its way to the log. */
  #dispatched: number;
  #fence: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(id: string, segment: Segment, log: Log, credit: Credit) {
    super(segment, log);
    this.#id = id;
    this.#segment = segment;
    this.#log = log;
    this.#credit = credit;
    this.#dispatched = segment.end;
  }

  /** From now on this writer puts nothing more into the log. */
  fence(why: string): void {
    this.#fence ??= why;
  }

  override offsets(): ReturnType<SegmentWriter['offsets']> {
    const offsets = super.offsets();
    return offsets.sealed ? offsets : { ...offsets, end: Math.max(this.#dispatched, offsets.end) };
  }

  async append(
    batches: readonly Uint8Array[],
    { base }: { readonly base: number },
  ): Promise<{ readonly next: number }> {
    this.#refuseFenced();
    if (base !== this.#dispatched)
      throw new StorageError('OFFSET_MISMATCH', `${this.#dispatched} is next`, { where: this.#id });
    const last = batches.at(-1) ?? new Uint8Array(0); // an append has at least one
    const next = nextOffset(readHeader(last));
    const bytes = batches.reduce((sum, { length }) => sum + length, 0);
    this.#dispatched = next;
    this.#credit.take(bytes);
    const written = this.#log.append('append', this.#id, {}, batches);
    this.#last = written.catch(() => {});
    try {
      await written;
      return { next };
    } catch (error) {
      // everything behind it has failed with it
      this.#dispatched = Math.min(this.#dispatched, base);
      throw error;
    } finally {
      this.#credit.give(bytes);
    }
  }

  ready(bytes: number): Promise<void> | undefined {
    if (this.#fence !== undefined) return Promise.reject(this.#fenced());
    return this.#credit.wait(bytes)?.then(() => this.#refuseFenced());
  }

  async flush(): Promise<void> {
    await this.#last;
  }

  async seal(): Promise<{ readonly end: number }> {
    this.#refuseFenced();
    await this.#last;
    if (!this.#segment.sealed) await this.#log.append('seal', this.#id, { epoch: this.#segment.epoch });
    return { end: this.#segment.end };
  }

  #refuseFenced(): void {
    if (this.#fence !== undefined) throw this.#fenced();
  }

  /** Nothing of what is refused here has reached the log. */
  #fenced(): StorageError {
    return new StorageError('FENCED', this.#fence ?? '', { where: this.#id, outcome: 'none' });
  }
}
