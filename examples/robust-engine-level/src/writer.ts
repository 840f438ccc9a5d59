import { nextOffset, readHeader, type SegmentWriter, StorageError } from '@robustmq/core';
import type { Commits } from './commits.ts';
import type { Credit } from './credit.ts';
import type { Database } from './database.ts';
import { fenced } from './draft.ts';
import { Reader } from './reader.ts';
import type { SegmentRow } from './rows.ts';

export class Writer extends Reader implements SegmentWriter {
  readonly #key: number;
  readonly #commits: Commits;
  readonly #credit: Credit;
  /** The end of what is on its way to the database. */
  #dispatched: number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(database: Database, row: SegmentRow, commits: Commits, credit: Credit) {
    super(database, row);
    this.#key = row.key;
    this.#commits = commits;
    this.#credit = credit;
    this.#dispatched = row.end;
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
      throw new StorageError('OFFSET_MISMATCH', `${this.#dispatched} is next`, { where: this.id });
    const last = batches.at(-1) ?? new Uint8Array(0); // an append has at least one
    const next = nextOffset(readHeader(last));
    const bytes = batches.reduce((sum, { length }) => sum + length, 0);
    this.#dispatched = next;
    this.#credit.take(bytes);
    const written = this.#commits.submit(bytes, (draft) => draft.append(this.id, this.#key, batches, base));
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
    const why = this.#fence();
    if (why !== undefined) return Promise.reject(why);
    return this.#credit.wait(bytes)?.then(() => this.#refuseFenced());
  }

  async flush(): Promise<void> {
    await this.#last;
  }

  async seal(): Promise<{ readonly end: number }> {
    this.#refuseFenced();
    await this.#last;
    return await this.#commits.submit(0, (draft) => draft.seal(this.id, this.#key));
  }

  #refuseFenced(): void {
    const why = this.#fence();
    if (why !== undefined) throw why;
  }

  /** Only early: what decides is the queue of commits, in which the fence lies in front of what comes after it. */
  #fence(): StorageError | undefined {
    const row = this.database.get(this.id);
    if (row?.key !== this.#key) return fenced(this.id, 'the segment has been deleted');
    return row.sealed ? fenced(this.id, `epoch ${row.epoch} has sealed the segment`) : undefined;
  }
}
