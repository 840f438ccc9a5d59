import {
  forEachBatch,
  nextOffset,
  type SegmentOffsets,
  type SegmentRead,
  type SegmentState,
  type SegmentWriter,
  StorageError,
} from '@robustmq/core';
import type { Window } from '../log/window.ts';
import type { PointerRow } from '../meta/rows.ts';
import type { PointerLog } from './pointers.ts';
import type { SegmentView } from './view.ts';

/** Runs of one open segment: each is a row in Meta, and an entry in memory. */
export const MAX_RUNS = 1024;

/** One append on its way to the log. */
export interface LogEntry {
  readonly writer: ObjectWriter;
  readonly batches: readonly Uint8Array[];
  readonly bytes: number;
  readonly base: number;
  readonly next: number;
  readonly minTs: number;
  readonly maxTs: number;
}

export interface WriterParts {
  readonly id: string;
  readonly uid: string;
  readonly base: number;
  /** Of the segment's row in Meta: every run is committed under this. */
  readonly revision: number;
  readonly window: Window;
  readonly log: PointerLog;
  readonly view: SegmentView;
  /** Settles once a row leads to the entry's bytes. */
  dispatch(entry: LogEntry): Promise<void>;
  /** Commits the end. @throws FENCED */
  commitSeal(end: number): Promise<void>;
  closed(): void;
}

export class ObjectWriter implements SegmentWriter {
  readonly id: string;
  readonly uid: string;
  readonly base: number;
  readonly revision: number;
  failure: StorageError | undefined;
  readonly #parts: WriterParts;
  readonly #flights = new Set<Promise<void>>();
  #end: number;
  #sealing: Promise<{ readonly end: number }> | undefined;
  #sealed = false;

  constructor(parts: WriterParts) {
    this.id = parts.id;
    this.uid = parts.uid;
    this.base = parts.base;
    this.revision = parts.revision;
    this.#parts = parts;
    this.#end = parts.base;
  }

  offsets(): SegmentOffsets {
    const committed = this.#parts.log.end;
    // what was dispatched before it failed may be there or not: recovery knows
    const end = this.failure === undefined ? this.#end : committed;
    return { base: this.base, committed, end, sealed: this.#sealed };
  }

  async append(
    batches: readonly Uint8Array[],
    { base }: { readonly base: number },
  ): Promise<{ readonly next: number }> {
    if (this.failure !== undefined) throw this.failure;
    if (this.#sealing !== undefined)
      throw new StorageError('SEGMENT_SEALED', 'The segment is sealed', { where: this.id });
    if (base !== this.#end) throw new StorageError('OFFSET_MISMATCH', `${this.#end} is next`, { where: this.id });
    if (this.#parts.log.pointers.length >= MAX_RUNS)
      throw new StorageError('SEGMENT_MUST_ROLL', `The segment has its share of ${MAX_RUNS} runs`, { where: this.id });
    const entry = this.#entry(batches, base);
    this.#parts.window.take(entry.bytes);
    this.#end = entry.next;
    const flight = this.#parts.dispatch(entry).finally(() => {
      this.#flights.delete(flight);
      this.#parts.window.give(entry.bytes);
    });
    this.#flights.add(flight);
    await flight;
    return { next: entry.next };
  }

  ready(bytes: number): Promise<void> | undefined {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return this.#parts.window.ready(bytes, this);
  }

  async flush(): Promise<void> {
    await Promise.allSettled([...this.#flights]);
  }

  seal(): Promise<{ readonly end: number }> {
    this.#sealing ??= this.#seal();
    return this.#sealing;
  }

  async #seal(): Promise<{ readonly end: number }> {
    await this.flush();
    if (this.failure !== undefined) throw this.failure;
    try {
      await this.#parts.commitSeal(this.#end);
    } catch (error) {
      if (error instanceof StorageError) this.fail(error);
      throw error;
    }
    this.#sealed = true;
    return { end: this.#end };
  }

  state(): Promise<SegmentState> {
    return this.#parts.view.state();
  }

  async read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<SegmentRead> {
    const committed = this.#parts.log.end;
    if (from >= committed) return { bytes: new Uint8Array(0), next: committed };
    return await this.#parts.view.read(from, maxBytes);
  }

  offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#parts.view.offsetForTimestamp(timestamp);
  }

  async close(): Promise<void> {
    this.fail(new StorageError('CLOSED', 'The writer is closed', { where: this.id, outcome: 'unknown' }));
    this.#parts.closed();
    await this.#parts.view.close();
  }

  /** A row in Meta leads to it now. */
  committed(pointer: PointerRow): void {
    this.#parts.log.add(pointer);
  }

  /** Ends the writer. What is in flight settles when its turn comes, with this. */
  fail(error: StorageError): void {
    if (this.#sealed) return;
    this.failure ??= error;
    this.#parts.window.refuse(error, this);
  }

  #entry(batches: readonly Uint8Array[], base: number): LogEntry {
    let bytes = 0;
    let next = base;
    let minTs = Number.MAX_SAFE_INTEGER;
    let maxTs = -1;
    for (const batch of batches) {
      bytes += batch.length;
      forEachBatch(batch, (header) => {
        next = nextOffset(header);
        minTs = Math.min(minTs, header.baseTimestamp);
        maxTs = Math.max(maxTs, header.maxTimestamp);
      });
    }
    return { writer: this, batches, bytes, base, next, minTs, maxTs };
  }
}
