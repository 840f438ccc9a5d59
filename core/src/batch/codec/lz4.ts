/**
 * LZ4 frames. Written by the library; read by the decoder below, because the library's can't be told how much it may allocate, and
 * because Kafka clients' frames come with every option the format has (linked or independent blocks, checksums, content size):
 *
 *     magic 0x184D2204 LE | FLG | BD | [content size u64] | [dictionary id u32] | header checksum u8 | blocks | end mark 0 u32 | [content checksum u32]
 *     FLG: bits 7-6 version 01, 5 blocks independent, 4 block checksums, 3 content size, 2 content checksum, 1 reserved, 0 dictionary id
 *     BD:  bits 6-4 largest block: 4 is 64 KiB, 5 256 KiB, 6 1 MiB, 7 4 MiB
 *     block: length u32, bit 31 set when stored as it is | data | [checksum u32]
 */
import { compressFrameSync } from 'lz4-napi';
import { StorageError } from '../../errors.ts';

const MAGIC = 0x184d2204;
const STORED = 0x80000000;

/** Independent blocks, no checksums: Java's reader refuses linked ones. */
export function compressLz4(plain: Uint8Array): Uint8Array {
  return compressFrameSync(Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength));
}

export function decompressLz4(frame: Uint8Array, maxBytes: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const { blocksAt, blockChecksum, contentChecksum, maxBlock, contentSize } = readFrameHeader(frame, view);
  if (contentSize !== undefined && contentSize > maxBytes) throw invalid(`holds more than ${maxBytes} bytes`);
  const output = new Output(contentSize ?? frame.length * 3, frame.length, maxBytes);
  let at = blocksAt;
  for (;;) {
    if (frame.length - at < 4) throw invalid('cut off before its end mark');
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const length = word & ~STORED;
    if (length > maxBlock || length > frame.length - at - blockChecksum) throw invalid('a block reaches past the end');
    const limit = output.length + maxBlock;
    if ((word & STORED) !== 0) output.copy(frame, at, length);
    else decompressBlock(frame, at, at + length, output, limit);
    if (output.length > limit) throw invalid(`a block holds more than its frame's ${maxBlock} bytes`);
    at += length + blockChecksum;
  }
  if (at + contentChecksum !== frame.length) throw invalid('the frame ends before the batch does');
  if (contentSize !== undefined && contentSize !== output.length) throw invalid('not as long as its header says');
  return output.bytes.subarray(0, output.length);
}

function readFrameHeader(frame: Uint8Array, view: DataView) {
  if (frame.length < 7 || view.getUint32(0, true) !== MAGIC) throw invalid('no frame');
  const flags = view.getUint8(4);
  const blockSize = (view.getUint8(5) >> 4) & 0x7;
  if (flags >> 6 !== 1) throw invalid(`version ${flags >> 6}`);
  if ((flags & 0x01) !== 0) throw invalid('needs a dictionary');
  if (blockSize < 4) throw invalid(`block size ${blockSize}`);
  const hasSize = (flags & 0x08) !== 0;
  if (hasSize && frame.length < 15) throw invalid('cut off');
  return {
    blocksAt: hasSize ? 15 : 7,
    blockChecksum: (flags & 0x10) === 0 ? 0 : 4,
    contentChecksum: (flags & 0x04) === 0 ? 0 : 4,
    maxBlock: 2 ** (8 + 2 * blockSize),
    contentSize: hasSize ? view.getUint32(6, true) + view.getUint32(10, true) * 2 ** 32 : undefined,
  };
}

/**
 * One block: { token | [more literal length] | literals | offset u16 LE | [more match length] }*, ended after literals. A match may
 * reach back into earlier blocks of the frame.
 */
function decompressBlock(from: Uint8Array, start: number, end: number, output: Output, limit: number): void {
  let at = start;
  while (at < end) {
    const token = byteAt(from, at++);
    let literals = token >> 4;
    if (literals === 15) {
      for (let more = 255; more === 255; literals += more) {
        if (at >= end) throw invalid('cut off in a length');
        more = byteAt(from, at++);
      }
    }
    if (literals > end - at) throw invalid('literals reach past their block');
    output.copy(from, at, literals);
    at += literals;
    if (at === end) return;
    if (end - at < 2) throw invalid('cut off in a match');
    const distance = byteAt(from, at) | (byteAt(from, at + 1) << 8);
    at += 2;
    let match = (token & 0xf) + 4;
    if ((token & 0xf) === 15) {
      for (let more = 255; more === 255; match += more) {
        if (at >= end) throw invalid('cut off in a length');
        more = byteAt(from, at++);
      }
    }
    if (distance === 0 || distance > output.length) throw invalid('a match reaches before the beginning');
    if (output.length + match > limit) throw invalid('a block holds more than its frame allows');
    output.repeat(distance, match);
  }
  throw invalid('a block ends in a match');
}

/** Bytes that grow by doubling, up to a bound, from a first guess that what came in justifies. */
class Output {
  bytes: Uint8Array;
  length = 0;
  readonly #maxBytes: number;

  constructor(guess: number, compressedBytes: number, maxBytes: number) {
    // one byte of LZ4 stands for 255 at most: a small frame can't claim much memory by its declared size
    this.bytes = Buffer.allocUnsafe(Math.min(guess, compressedBytes * 255, maxBytes));
    this.#maxBytes = maxBytes;
  }

  copy(from: Uint8Array, at: number, count: number): void {
    this.#room(count);
    const { bytes, length } = this;
    // a call costs more than copying a few bytes
    if (count < 32) for (let i = 0; i < count; i++) bytes[length + i] = byteAt(from, at + i);
    else bytes.set(from.subarray(at, at + count), length);
    this.length = length + count;
  }

  /** Appends what lies `distance` back, `count` bytes of it; both may overlap. */
  repeat(distance: number, count: number): void {
    this.#room(count);
    const { bytes, length } = this;
    const source = length - distance;
    if (distance >= count && count >= 64) bytes.copyWithin(length, source, source + count);
    else if (distance === 1) bytes.fill(byteAt(bytes, source), length, length + count);
    else for (let i = 0; i < count; i++) bytes[length + i] = byteAt(bytes, source + i);
    this.length = length + count;
  }

  #room(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    if (needed > this.#maxBytes) throw invalid(`holds more than ${this.#maxBytes} bytes`);
    const larger = Buffer.allocUnsafe(Math.min(Math.max(needed, this.bytes.length * 2), this.#maxBytes));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

/** In bounds by the checks around it. */
function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

function invalid(what: string): StorageError {
  return new StorageError('BATCH_INVALID', `lz4 data: ${what}`);
}
