/**
 * Snappy as Kafka clients use it: a raw block (librdkafka), or blocks in the framing of Java's snappy library ("xerial"):
 *
 *     magic 0x82 'SNAPPY' 0x00 | version int32 | oldest compatible version int32 | { length int32 | raw block }*
 *
 * Every client reads the framing, so that is what is written.
 */
import { compressSync, uncompressSync } from 'snappy';
import { StorageError } from '../../errors.ts';

const MAGIC = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00);
const XERIAL_HEADER_BYTES = 16;
const BLOCK_BYTES = 32 * 1024;

export function compressSnappy(plain: Uint8Array): Uint8Array {
  const header = Buffer.alloc(XERIAL_HEADER_BYTES);
  header.set(MAGIC);
  header.writeInt32BE(1, 8);
  header.writeInt32BE(1, 12);
  const parts: Uint8Array[] = [header];
  for (let at = 0; at < plain.length; at += BLOCK_BYTES) {
    const block = compressSync(plain.subarray(at, at + BLOCK_BYTES));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

export function decompressSnappy(compressed: Uint8Array, maxBytes: number): Uint8Array {
  if (!isXerial(compressed)) return decompressBlock(compressed, maxBytes);
  const view = new DataView(compressed.buffer, compressed.byteOffset, compressed.byteLength);
  const blocks: Uint8Array[] = [];
  let left = maxBytes;
  for (let at = XERIAL_HEADER_BYTES; at < compressed.length; ) {
    const length = compressed.length - at < 4 ? -1 : view.getInt32(at);
    if (length < 0 || length > compressed.length - at - 4) throw invalid('a block reaches past the end');
    const block = decompressBlock(compressed.subarray(at + 4, at + 4 + length), left);
    blocks.push(block);
    left -= block.length;
    at += 4 + length;
  }
  return blocks.length === 1 && blocks[0] !== undefined ? blocks[0] : Buffer.concat(blocks);
}

function isXerial(bytes: Uint8Array): boolean {
  return bytes.length >= XERIAL_HEADER_BYTES && MAGIC.every((byte, at) => bytes[at] === byte);
}

/** A raw block. The library allocates what the block's first bytes declare, so that is looked at first. */
function decompressBlock(block: Uint8Array, maxBytes: number): Uint8Array {
  const declared = declaredLength(block);
  if (declared > maxBytes) throw invalid(`holds more than ${maxBytes} bytes`);
  // the densest element, a copy of 64 bytes, takes 3
  if (declared > (block.length * 64) / 3) throw invalid(`a block of ${block.length} bytes can't hold ${declared}`);
  try {
    return uncompressSync(block) as Buffer; // a Buffer unless asked for a string
  } catch (cause) {
    throw invalid('damaged', cause);
  }
}

/** The plain length that a raw block begins with, as a varint; Infinity when it is none. */
function declaredLength(block: Uint8Array): number {
  let length = 0;
  for (let at = 0; at < 5; at++) {
    const byte = block[at];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return length;
  }
  return Number.POSITIVE_INFINITY;
}

function invalid(what: string, cause?: unknown): StorageError {
  return new StorageError('BATCH_INVALID', `snappy data: ${what}`, { cause });
}
