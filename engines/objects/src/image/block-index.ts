/**
 * The index of an image: what each block holds and where. An entry, 56 bytes, little-endian:
 *
 *      0  offset of its first record i64, one past its last i64
 *     16  position u64, bytes u64
 *     32  smallest base timestamp i64, largest timestamp i64
 *     48  crc u32 of the block's bytes, batches u32
 */
import { int64At, setInt64, viewOf } from './fields.ts';
import { BLOCK_ENTRY_BYTES, HEADER_BYTES, type ImageFooter } from './format.ts';

export interface Block {
  readonly base: number;
  readonly end: number;
  readonly position: number;
  readonly bytes: number;
  readonly minTs: number;
  readonly maxTs: number;
  readonly crc: number;
  readonly batches: number;
}

/** Blocks by column: a thousand of them are no objects. */
export class BlockIndex {
  readonly count: number;
  readonly #ends: Float64Array;
  readonly #maxTimestamps: Float64Array;
  readonly #view: DataView;

  /** `bytes` is kept. */
  constructor(bytes: Uint8Array) {
    this.count = bytes.length / BLOCK_ENTRY_BYTES;
    this.#view = viewOf(bytes);
    this.#ends = Float64Array.from({ length: this.count }, (_, i) => int64At(this.#view, i * BLOCK_ENTRY_BYTES + 8));
    this.#maxTimestamps = Float64Array.from({ length: this.count }, (_, i) =>
      int64At(this.#view, i * BLOCK_ENTRY_BYTES + 40),
    );
  }

  block(number: number): Block {
    const at = number * BLOCK_ENTRY_BYTES;
    return {
      base: int64At(this.#view, at),
      end: int64At(this.#view, at + 8),
      position: int64At(this.#view, at + 16),
      bytes: int64At(this.#view, at + 24),
      minTs: int64At(this.#view, at + 32),
      maxTs: int64At(this.#view, at + 40),
      crc: this.#view.getUint32(at + 48, true),
      batches: this.#view.getUint32(at + 52, true),
    };
  }

  /** The first block with an offset at or above; `count` when there is none. */
  blockOf(offset: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first block, from number `from` on, with a timestamp at or above; `count` when there is none. */
  blockOfTimestamp(timestamp: number, from = 0): number {
    for (let i = from; i < this.count; i++) if ((this.#maxTimestamps[i] ?? timestamp) >= timestamp) return i;
    return this.count;
  }

  /** The last block that begins in front of `position`, from number `from` on. */
  lastBefore(position: number, from: number): number {
    let last = from;
    while (last + 1 < this.count && this.block(last + 1).position < position) last++;
    return last;
  }

  /** True when the blocks lie one behind the other as the footer says, with offsets that go up. */
  fits(footer: ImageFooter): boolean {
    let position = HEADER_BYTES;
    let next = footer.base;
    for (let i = 0; i < this.count; i++) {
      const block = this.block(i);
      if (block.position !== position || !(block.bytes > 0) || block.base < next || block.end <= block.base)
        return false;
      position += block.bytes;
      next = block.end;
    }
    return position === footer.stateAt && next <= footer.end;
  }
}

export function encodeBlocks(blocks: readonly Block[]): Uint8Array {
  const bytes = Buffer.alloc(blocks.length * BLOCK_ENTRY_BYTES);
  const view = viewOf(bytes);
  blocks.forEach((block, i) => {
    const at = i * BLOCK_ENTRY_BYTES;
    setInt64(view, at, block.base);
    setInt64(view, at + 8, block.end);
    setInt64(view, at + 16, block.position);
    setInt64(view, at + 24, block.bytes);
    setInt64(view, at + 32, block.minTs);
    setInt64(view, at + 40, block.maxTs);
    view.setUint32(at + 48, block.crc, true);
    view.setUint32(at + 52, block.batches, true);
  });
  return bytes;
}
