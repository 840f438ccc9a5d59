/**
 * What lies in a write-ahead log file: groups, each begun at a multiple of 4096 bytes so that no acknowledged sector is ever
 * rewritten, each of one group header and the entries that were committed together, padded with zeros. Little-endian.
 *
 *     group header, 64 bytes                         entry header, 48 bytes, then the body, padded to 8 bytes
 *      0  magic         u32  "RMQW"                   0  crc         u32  of bytes 4..47
 *      4  version       u32                           4  bodyBytes   u32
 *      8  generation    u32                           8  kind        u8
 *     12  fileSequence  u32                           9  parts       u24  batches in an append
 *     16  start         u64                          12  generation  u32
 *     24  previousEnd   u64                          16  position    u64
 *     32  bytes         u32  of all entries          24  number      u32  the segment's
 *     36  -                                          28  epoch       u32
 *     60  crc           u32  of bytes 0..59          32  offset      u64
 *                                                    40  count       u32
 *                                                    44  bodyCrc     u32  see below
 *
 * A position counts the bytes of entries written since the directory was made; it never goes back, and an entry's own is under its
 * CRC together with the generation (a number for each time the directory was opened): stale bytes of a recycled file never parse.
 * `previousEnd` is the end of what was committed before: it proves that all below it was acknowledged or could have been.
 * The body CRC of an append covers the first 21 bytes of each batch only: the rest is under the CRC in there.
 */
// the thread of the log has no need of the native one, and starts a tenth sooner without it
import { crc32cSmall } from '@robustmq/core/crc32c';

export const WAL_MAGIC = 0x57514d52;
export const WAL_VERSION = 1;
/** At the beginning of a file that was prepared and never written: magic "RMQP", version, CRC of the two. */
const PREPARED_MAGIC = 0x50514d52;
export const GROUP_HEADER_BYTES = 64;
export const ENTRY_HEADER_BYTES = 48;
export const SECTOR_BYTES = 4096;
/** The part of a batch that lies in front of what its own CRC covers. */
export const BATCH_HEAD_BYTES = 21;

export const KIND = { append: 1, create: 2, seal: 3, fence: 4, delete: 5, mark: 6 } as const;
export type EntryKind = keyof typeof KIND;

export interface GroupHeader {
  readonly generation: number;
  readonly fileSequence: number;
  readonly start: number;
  readonly previousEnd: number;
  readonly bytes: number;
}

export interface EntryHeader {
  readonly kind: number;
  readonly parts: number;
  readonly generation: number;
  readonly position: number;
  readonly number: number;
  readonly epoch: number;
  readonly offset: number;
  readonly count: number;
  readonly bodyBytes: number;
  readonly bodyCrc: number;
}

/** Of a whole group in its file. */
export function groupFileBytes(entryBytes: number): number {
  return Math.ceil((GROUP_HEADER_BYTES + entryBytes) / SECTOR_BYTES) * SECTOR_BYTES;
}

/** Of an entry with its header and padding. */
export function entryBytes(bodyBytes: number): number {
  return ENTRY_HEADER_BYTES + ((bodyBytes + 7) & ~7);
}

/** Writes numbers at fixed places of one small buffer: made once, used for every header. */
export class HeaderWriter {
  readonly bytes: Buffer = Buffer.alloc(GROUP_HEADER_BYTES);
  readonly #view: DataView = new DataView(this.bytes.buffer, this.bytes.byteOffset, GROUP_HEADER_BYTES);
  /** The 48 bytes that {@link entry} writes. */
  readonly entryBytes: Buffer = this.bytes.subarray(0, ENTRY_HEADER_BYTES);

  group(header: GroupHeader): void {
    const view = this.#view;
    this.bytes.fill(0);
    view.setUint32(0, WAL_MAGIC, true);
    view.setUint32(4, WAL_VERSION, true);
    view.setUint32(8, header.generation, true);
    view.setUint32(12, header.fileSequence, true);
    setUint64(view, 16, header.start);
    setUint64(view, 24, header.previousEnd);
    view.setUint32(32, header.bytes, true);
    view.setUint32(60, crc32cSmall(this.bytes, 0, GROUP_HEADER_BYTES - 4), true);
  }

  entry(
    kind: number,
    parts: number,
    generation: number,
    position: number,
    number: number,
    epoch: number,
    offset: number,
    count: number,
    bodyBytes: number,
    bodyCrc: number,
  ): void {
    const view = this.#view;
    view.setUint32(4, bodyBytes, true);
    view.setUint32(8, kind | (parts << 8), true);
    view.setUint32(12, generation, true);
    setUint64(view, 16, position);
    view.setUint32(24, number, true);
    view.setUint32(28, epoch, true);
    setUint64(view, 32, offset);
    view.setUint32(40, count, true);
    view.setUint32(44, bodyCrc, true);
    view.setUint32(0, crc32cSmall(this.bytes, 4, ENTRY_HEADER_BYTES), true);
  }
}

/** The group header at `at`, or `undefined` when there is none that holds together. */
export function readGroupHeader(bytes: Buffer, at: number): GroupHeader | undefined {
  if (at + GROUP_HEADER_BYTES > bytes.length || bytes.readUInt32LE(at) !== WAL_MAGIC) return undefined;
  if (bytes.readUInt32LE(at + 60) !== crc32cSmall(bytes, at, at + GROUP_HEADER_BYTES - 4)) return undefined;
  if (bytes.readUInt32LE(at + 4) !== WAL_VERSION) return undefined;
  return {
    generation: bytes.readUInt32LE(at + 8),
    fileSequence: bytes.readUInt32LE(at + 12),
    start: getUint64(bytes, at + 16),
    previousEnd: getUint64(bytes, at + 24),
    bytes: bytes.readUInt32LE(at + 32),
  };
}

/** The entry header at `at`, or `undefined` when it is not the one that belongs at `position` of `generation`. */
export function readEntryHeader(
  bytes: Buffer,
  at: number,
  position: number,
  generation: number,
): EntryHeader | undefined {
  if (at + ENTRY_HEADER_BYTES > bytes.length) return undefined;
  if (getUint64(bytes, at + 16) !== position || bytes.readUInt32LE(at + 12) !== generation) return undefined;
  if (bytes.readUInt32LE(at) !== crc32cSmall(bytes, at + 4, at + ENTRY_HEADER_BYTES)) return undefined;
  return {
    kind: bytes[at + 8] ?? 0,
    parts: bytes.readUIntLE(at + 9, 3),
    generation,
    position,
    number: bytes.readUInt32LE(at + 24),
    epoch: bytes.readUInt32LE(at + 28),
    offset: getUint64(bytes, at + 32),
    count: bytes.readUInt32LE(at + 40),
    bodyBytes: bytes.readUInt32LE(at + 4),
    bodyCrc: bytes.readUInt32LE(at + 44),
  };
}

export function encodePrepared(): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(PREPARED_MAGIC, 0);
  bytes.writeUInt32LE(WAL_VERSION, 4);
  bytes.writeUInt32LE(crc32cSmall(bytes, 0, 8), 8);
  return bytes;
}

/** True at the beginning of a file of which nothing was ever written. */
export function isPrepared(bytes: Buffer): boolean {
  return bytes.subarray(0, 12).equals(encodePrepared());
}

export function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

export function getUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
