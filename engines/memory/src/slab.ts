import { type BatchHeader, nextOffset, readHeader } from '@robustmq/core';

/** One batch in so many bytes is in the index; the ones between are found by walking their headers. */
const INDEX_EVERY_BYTES = 4096;

/**
 * A run of batches in one piece of memory, written once from front to back: what has been written is never moved or changed, so
 * readers get views of it.
 */
export class Slab {
  readonly bytes: Uint8Array;
  readonly base: number;
  /** One past the last offset. */
  next: number;
  used = 0;
  maxTimestamp: number = Number.NEGATIVE_INFINITY;
  /** Offsets and positions of some batches, ascending; the first batch is among them. */
  readonly #offsets: number[] = [];
  readonly #positions: number[] = [];
  /** The largest timestamp before each of them. */
  readonly #maxBefore: number[] = [];

  constructor(size: number, base: number) {
    // every byte a reader can see has been written, so there is no need to clear it first
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.base = base;
    this.next = base;
  }

  get free(): number {
    return this.bytes.length - this.used;
  }

  /** The only copy of a batch on its way in. */
  put(batch: Uint8Array, header: BatchHeader): void {
    const last = this.#positions.at(-1);
    if (last === undefined || this.used - last >= INDEX_EVERY_BYTES) {
      this.#offsets.push(header.baseOffset);
      this.#positions.push(this.used);
      this.#maxBefore.push(this.maxTimestamp);
    }
    this.bytes.set(batch, this.used);
    this.used += batch.length;
    this.next = nextOffset(header);
    if (header.maxTimestamp > this.maxTimestamp) this.maxTimestamp = header.maxTimestamp;
  }

  /** Whole batches from the one that holds `from`, or the next one: at least one, then as many as fit in `maxBytes`. */
  read(from: number, maxBytes: number): { bytes: Uint8Array; next: number } {
    const start = this.#walk(
      this.#positions[lastBelow(this.#offsets, (offset) => offset <= from)] ?? 0,
      (header) => nextOffset(header) > from,
    );
    let next = from;
    let end = start;
    while (end < this.used) {
      const header = readHeader(this.bytes, end);
      if (end > start && end + header.bytes - start > maxBytes) break;
      end += header.bytes;
      next = nextOffset(header);
    }
    return { bytes: this.bytes.subarray(start, end), next };
  }

  /** The base offset of the first batch with a timestamp at or above. */
  offsetForTimestamp(timestamp: number): number | undefined {
    const index = lastBelow(this.#maxBefore, (max) => max < timestamp);
    const at = this.#walk(this.#positions[index] ?? 0, (header) => header.maxTimestamp >= timestamp);
    return at < this.used ? readHeader(this.bytes, at).baseOffset : undefined;
  }

  #walk(from: number, found: (header: BatchHeader) => boolean): number {
    let at = from;
    while (at < this.used) {
      const header = readHeader(this.bytes, at);
      if (found(header)) return at;
      at += header.bytes;
    }
    return at;
  }
}

/** The index of the last value for which `below` holds, in values where it holds for the first ones; -1 when for none. */
export function lastBelow<T>(values: readonly T[], below: (value: T) => boolean): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (below(values[middle] as T))
      low = middle + 1; // middle < length
    else high = middle;
  }
  return low - 1;
}
