/**
 * A few places of a segment's log: about one per 64 KiB, each with the offset that begins there and the largest timestamp in front of
 * it. In its file, beside the log, little-endian:
 *
 *     header, 32 bytes: magic "RMQI", version u32, base u64, 12 bytes of zeros, crc u32 of bytes 0..27
 *     entries, 32 bytes each: offset u64, position u64, maxTimestampBefore f64, zeros u32, crc u32 of bytes 0..27
 *
 * It says nothing that the log doesn't: one that is damaged or behind is made again by reading the log.
 */
import { crc32c } from '@node-rs/crc32';
import { getUint64, setUint64 } from '../wal/frames.ts';

export const INDEX_MAGIC = 0x49514d52;
export const INDEX_VERSION = 1;
export const INDEX_ENTRY_BYTES = 32;
/** Below every timestamp a batch can have. */
export const NO_TIMESTAMP: number = -(2 ** 53);

export class SparseIndex {
  readonly interval: number;
  /** Offset, position, largest timestamp before: three numbers an entry. */
  #entries: number[] = [];
  /** The first entries, which are in the file only. */
  #unloaded: number;
  #lastPosition: number;
  /** Of the last entry that is in the file only. */
  readonly unloadedPosition: number;
  /** Of all batches so far. */
  maxTimestamp: number;

  constructor(
    interval: number,
    from: { readonly count: number; readonly lastPosition: number; readonly maxTimestamp: number } = EMPTY,
  ) {
    this.interval = interval;
    this.#unloaded = from.count;
    this.#lastPosition = from.lastPosition;
    this.unloadedPosition = from.lastPosition;
    this.maxTimestamp = from.maxTimestamp;
  }

  get count(): number {
    return this.#unloaded + this.#entries.length / 3;
  }

  /** Entries that must be read from the file before anything is looked up. */
  get unloaded(): number {
    return this.#unloaded;
  }

  get lastPosition(): number {
    return this.#lastPosition;
  }

  /** Those in memory. */
  get entries(): readonly number[] {
    return this.#entries;
  }

  /** Takes note of a batch at the end of the log. */
  add(offset: number, position: number, maxTimestamp: number): void {
    if (position - this.#lastPosition >= this.interval) {
      this.#entries.push(offset, position, this.maxTimestamp);
      this.#lastPosition = position;
    }
    if (maxTimestamp > this.maxTimestamp) this.maxTimestamp = maxTimestamp;
  }

  /** Puts what was read from the file in front. */
  loaded(entries: readonly number[]): void {
    this.#entries = [...entries, ...this.#entries];
    this.#unloaded = 0;
  }

  /** Where to begin to look for the batch that holds `offset`. */
  positionOf(offset: number): number {
    let low = 0;
    let high = this.#entries.length / 3;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle * 3] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : (this.#entries[(low - 1) * 3 + 1] ?? 0);
  }

  /** Where to begin to look for the first batch with a timestamp at or above. */
  positionOfTimestamp(timestamp: number): number {
    let low = 0;
    let high = this.#entries.length / 3;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle * 3 + 2] ?? 0) < timestamp) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : (this.#entries[(low - 1) * 3 + 1] ?? 0);
  }

  /** The bytes of entries from number `from` on, as they stand in the file behind its header. */
  encode(from: number): Buffer {
    const first = Math.max(0, from - this.#unloaded) * 3;
    const bytes = Buffer.alloc(((this.#entries.length - first) / 3) * INDEX_ENTRY_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0, entry = first; entry < this.#entries.length; at += INDEX_ENTRY_BYTES, entry += 3) {
      setUint64(view, at, this.#entries[entry] ?? 0);
      setUint64(view, at + 8, this.#entries[entry + 1] ?? 0);
      view.setFloat64(at + 16, this.#entries[entry + 2] ?? 0, true);
      view.setUint32(at + 28, crc32c(bytes.subarray(at, at + 28)), true);
    }
    return bytes;
  }
}

const EMPTY = { count: 0, lastPosition: 0, maxTimestamp: NO_TIMESTAMP };

export function encodeIndexHeader(base: number): Buffer {
  const bytes = Buffer.alloc(INDEX_ENTRY_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(0, INDEX_MAGIC, true);
  view.setUint32(4, INDEX_VERSION, true);
  setUint64(view, 8, base);
  view.setUint32(28, crc32c(bytes.subarray(0, 28)), true);
  return bytes;
}

/** `count` entries, or `undefined` when the file does not hold them whole and in order. */
export function decodeIndex(bytes: Buffer, base: number, count: number): number[] | undefined {
  if (bytes.length < (count + 1) * INDEX_ENTRY_BYTES || bytes.readUInt32LE(0) !== INDEX_MAGIC) return undefined;
  if (!isWhole(bytes, 0) || bytes.readUInt32LE(4) !== INDEX_VERSION || getUint64(bytes, 8) !== base) return undefined;
  const entries: number[] = [];
  for (let at = INDEX_ENTRY_BYTES; entries.length < count * 3; at += INDEX_ENTRY_BYTES) {
    const position = getUint64(bytes, at + 8);
    if (!isWhole(bytes, at) || position <= (entries[entries.length - 2] ?? 0)) return undefined;
    entries.push(getUint64(bytes, at), position, bytes.readDoubleLE(at + 16));
  }
  return entries;
}

function isWhole(bytes: Buffer, at: number): boolean {
  return bytes.readUInt32LE(at + 28) === crc32c(bytes.subarray(at, at + 28));
}
