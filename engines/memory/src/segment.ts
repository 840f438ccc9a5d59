import { headerDigest, readHeader, type SegmentOffsets, type SegmentRead, StorageError } from '@robustmq/core';
import type { Budget } from './budget.ts';
import { lastBelow, Slab } from './slab.ts';

/** Slabs double from the first, so that a segment with one small record is small and a busy one has few of them. */
export const FIRST_SLAB_BYTES = 4096;
export const SLAB_BYTES: number = 1024 * 1024;
/** A batch from this size on has a slab of its own, so that no slab is left with a large unused end. */
const LARGE_BATCH_BYTES = SLAB_BYTES / 4;

const NOTHING = new Uint8Array(0);

/** The batches of one segment. Knows nothing of ids, epochs or writers. */
export class Segment {
  readonly base: number;
  readonly state: Uint8Array;
  readonly #budget: Budget;
  #slabs: Slab[] = [];
  /** The largest timestamp up to and including each slab. */
  #maxTimestamps: number[] = [];
  /** Of the batches. */
  bytes = 0;
  /** CRC32C over the headers. */
  digest = 0;
  end: number;
  sealed = false;
  dropped = false;

  constructor(base: number, state: Uint8Array, budget: Budget) {
    this.base = base;
    this.end = base;
    this.state = state.length === 0 ? NOTHING : state.slice();
    this.#budget = budget;
    budget.take(this.state.length);
  }

  /** Takes one whole batch; the caller has seen to it that there is room. */
  put(batch: Uint8Array): void {
    const header = readHeader(batch);
    const slab = this.#slabFor(batch.length, header.baseOffset);
    slab.put(batch, header);
    this.bytes += batch.length;
    this.end = slab.next;
    const last = this.#slabs.length - 1;
    this.#maxTimestamps[last] = Math.max(this.#maxTimestamps[last - 1] ?? slab.maxTimestamp, slab.maxTimestamp);
  }

  /** For a segment that comes in whole, whose result this is. */
  putAndDigest(batch: Uint8Array): void {
    this.digest = headerDigest(this.digest, batch);
    this.put(batch);
  }

  offsets(): SegmentOffsets {
    return { base: this.base, committed: this.end, end: this.end, sealed: this.sealed };
  }

  read(from: number, maxBytes: number): SegmentRead {
    this.refuseDropped();
    const slab = this.#slabs[lastBelow(this.#slabs, ({ next }) => next <= from) + 1];
    return slab === undefined ? { bytes: NOTHING, next: this.end } : slab.read(from, maxBytes);
  }

  offsetForTimestamp(timestamp: number): number | undefined {
    this.refuseDropped();
    const index = lastBelow(this.#maxTimestamps, (max) => max < timestamp);
    return this.#slabs[index + 1]?.offsetForTimestamp(timestamp);
  }

  drop(): void {
    if (this.dropped) return;
    this.dropped = true;
    this.#budget.give(this.state.length + this.#slabs.reduce((sum, slab) => sum + slab.bytes.length, 0));
    this.#slabs = [];
    this.#maxTimestamps = [];
  }

  refuseDropped(): void {
    if (this.dropped) throw new StorageError('SEGMENT_UNKNOWN', 'The segment has been deleted');
  }

  #slabFor(bytes: number, base: number): Slab {
    const last = this.#slabs.at(-1);
    if (last !== undefined && last.free >= bytes) return last;
    const doubled = last === undefined ? FIRST_SLAB_BYTES : Math.min(2 * last.bytes.length, SLAB_BYTES);
    const slab = new Slab(bytes >= LARGE_BATCH_BYTES ? bytes : Math.max(doubled, bytes), base);
    this.#budget.take(slab.bytes.length);
    this.#slabs.push(slab);
    return slab;
  }
}
