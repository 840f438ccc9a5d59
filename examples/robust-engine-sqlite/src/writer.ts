import { type SegmentWriter, StorageError } from '@robustmq/core';
import type { Credit } from './credit.ts';
import type { Database } from './database.ts';
import { Reader } from './reader.ts';
import { rowsOf } from './rows.ts';
import type { Segment } from './segment.ts';

export class Writer extends Reader implements SegmentWriter {
  readonly #segment: Segment;
  readonly #database: Database;
  readonly #credit: Credit;
  readonly #onSealed: () => void;
  /** The end of what is on its way. */
  #dispatched: number;
  #fence: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(segment: Segment, database: Database, credit: Credit, onSealed: () => void) {
    super(segment);
    this.#segment = segment;
    this.#database = database;
    this.#credit = credit;
    this.#onSealed = onSealed;
    this.#dispatched = segment.end;
  }

  /** From now on this writer asks for nothing more. */
  fence(why: string): void {
    this.#fence ??= why;
  }

  sealed(end: number): void {
    Object.assign(this.#segment, { end, last: end, sealed: true });
    this.#onSealed();
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
      throw new StorageError('OFFSET_MISMATCH', `${this.#dispatched} is next`, { where: this.#segment.id });
    const rows = rowsOf(batches, base);
    const next = rows.at(-1)?.next ?? base;
    const length = batches.reduce((sum, batch) => sum + batch.length, 0);
    this.#dispatched = next;
    this.#credit.take(length);
    const written = this.#database.run({ kind: 'append', key: this.#segment.key, base, rows, at: 0, length }, batches);
    this.#last = written.catch(() => {});
    try {
      await written;
      this.#segment.end = next;
      this.#segment.last = next;
      return { next };
    } catch (error) {
      // everything behind it has failed with it
      this.#dispatched = Math.min(this.#dispatched, base);
      throw error;
    } finally {
      this.#credit.give(length);
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
    if (!this.#segment.sealed) {
      const { end } = await this.#database.run({ kind: 'seal', key: this.#segment.key });
      this.sealed(end);
    }
    return { end: this.#segment.end };
  }

  #refuseFenced(): void {
    if (this.#fence !== undefined) throw this.#fenced();
  }

  /** Nothing of what is refused here has left this thread. */
  #fenced(): StorageError {
    return new StorageError('FENCED', this.#fence ?? '', { where: this.#segment.id, outcome: 'none' });
  }
}
