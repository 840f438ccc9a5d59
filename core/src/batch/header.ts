/**
 * The header of a Kafka record batch, version 2 (magic 2). Big-endian.
 *
 *     0  baseOffset            int64      outside the CRC: patched at admission
 *     8  batchLength           int32      bytes after this field
 *    12  partitionLeaderEpoch  int32      outside the CRC: patched at admission
 *    16  magic                 int8       2
 *    17  crc                   uint32     CRC32C of everything from attributes on
 *    21  attributes            int16      0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
 *    23  lastOffsetDelta       int32
 *    27  baseTimestamp         int64
 *    35  maxTimestamp          int64
 *    43  producerId            int64      -1: none
 *    51  producerEpoch         int16
 *    53  baseSequence          int32
 *    57  recordCount           int32
 *    61  records
 */
export const BATCH_HEADER_BYTES = 61;
/** Bytes up to and including batchLength: `batchLength` counts from here. */
export const BATCH_LOG_OVERHEAD = 12;
export const BATCH_MAGIC = 2;
export const CRC_FROM = 21;

export const NO_PRODUCER = -1;

export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type Codec = (typeof CODECS)[number];

export interface BatchHeader {
  readonly baseOffset: number;
  /** Of the whole batch, header included. */
  readonly bytes: number;
  readonly leaderEpoch: number;
  readonly crc: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
}

/**
 * Reads the header at `at`; the caller has made sure that {@link BATCH_HEADER_BYTES} are there. Nothing is checked. Byte by byte: faster
 * than a DataView, which would be made for each batch anew.
 */
export function readHeader(bytes: Uint8Array, at = 0): BatchHeader {
  return {
    baseOffset: int64At(bytes, at),
    bytes: int32At(bytes, at + 8) + BATCH_LOG_OVERHEAD,
    leaderEpoch: int32At(bytes, at + 12),
    crc: int32At(bytes, at + 17) >>> 0,
    attributes: int16At(bytes, at + 21),
    lastOffsetDelta: int32At(bytes, at + 23),
    baseTimestamp: int64At(bytes, at + 27),
    maxTimestamp: int64At(bytes, at + 35),
    producerId: int64At(bytes, at + 43),
    producerEpoch: int16At(bytes, at + 51),
    baseSequence: int32At(bytes, at + 53),
    recordCount: int32At(bytes, at + 57),
  };
}

/** One past the last offset of the batch. */
export function nextOffset(header: BatchHeader): number {
  return header.baseOffset + header.lastOffsetDelta + 1;
}

export function codecOf(header: Pick<BatchHeader, 'attributes'>): Codec | undefined {
  return CODECS[header.attributes & 0x7];
}

/** True when readers see the batch's `maxTimestamp` in place of the records' own times. */
export function isLogAppendTime(header: BatchHeader): boolean {
  return (header.attributes & 0x08) !== 0;
}

export function isTransactional(header: BatchHeader): boolean {
  return (header.attributes & 0x10) !== 0;
}

export function isControl(header: BatchHeader): boolean {
  return (header.attributes & 0x20) !== 0;
}

/** True when compaction has written into `baseTimestamp` when the batch's tombstones may go. */
export function hasDeleteHorizon(header: BatchHeader): boolean {
  return (header.attributes & 0x40) !== 0;
}

/** Writes base offset and leader epoch into the batch at `at`; neither is under its CRC. */
export function patchOffsetAndEpoch(bytes: Uint8Array, baseOffset: number, leaderEpoch: number, at = 0): void {
  putInt32(bytes, at, Math.floor(baseOffset / 2 ** 32));
  putInt32(bytes, at + 4, baseOffset | 0);
  putInt32(bytes, at + 12, leaderEpoch);
}

/** Writes a whole header at `at`, the CRC as it is given. */
export function writeHeader(bytes: Uint8Array, header: BatchHeader, at = 0): void {
  const view = viewOf(bytes);
  patchOffsetAndEpoch(bytes, header.baseOffset, header.leaderEpoch, at);
  view.setInt32(at + 8, header.bytes - BATCH_LOG_OVERHEAD);
  view.setUint8(at + 16, BATCH_MAGIC);
  view.setUint32(at + 17, header.crc);
  view.setInt16(at + 21, header.attributes);
  view.setInt32(at + 23, header.lastOffsetDelta);
  setInt64(view, at + 27, header.baseTimestamp);
  setInt64(view, at + 35, header.maxTimestamp);
  setInt64(view, at + 43, header.producerId);
  view.setInt16(at + 51, header.producerEpoch);
  view.setInt32(at + 53, header.baseSequence);
  view.setInt32(at + 57, header.recordCount);
}

/** A signed 64-bit field as a number; outside the safe integers it comes back rounded, which no check lets through as an offset. */
function int64At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) * 2 ** 32 + (int32At(bytes, at + 4) >>> 0);
}

function int32At(bytes: Uint8Array, at: number): number {
  return (
    (byteAt(bytes, at) << 24) | (byteAt(bytes, at + 1) << 16) | (byteAt(bytes, at + 2) << 8) | byteAt(bytes, at + 3)
  );
}

function int16At(bytes: Uint8Array, at: number): number {
  return ((byteAt(bytes, at) << 24) | (byteAt(bytes, at + 1) << 16)) >> 16;
}

/** The caller has made sure that it is there. */
function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

function putInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24;
  bytes[at + 1] = value >> 16;
  bytes[at + 2] = value >> 8;
  bytes[at + 3] = value;
}

function setInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
