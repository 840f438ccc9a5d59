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

/** Reads the header at `at`; the caller has made sure that {@link BATCH_HEADER_BYTES} are there. Nothing is checked. */
export function readHeader(bytes: Uint8Array, at = 0): BatchHeader {
  const view = viewOf(bytes);
  return {
    baseOffset: int64(view, at),
    bytes: view.getInt32(at + 8) + BATCH_LOG_OVERHEAD,
    leaderEpoch: view.getInt32(at + 12),
    crc: view.getUint32(at + 17),
    attributes: view.getInt16(at + 21),
    lastOffsetDelta: view.getInt32(at + 23),
    baseTimestamp: int64(view, at + 27),
    maxTimestamp: int64(view, at + 35),
    producerId: int64(view, at + 43),
    producerEpoch: view.getInt16(at + 51),
    baseSequence: view.getInt32(at + 53),
    recordCount: view.getInt32(at + 57),
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
  const view = viewOf(bytes);
  setInt64(view, at, baseOffset);
  view.setInt32(at + 12, leaderEpoch);
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
export function int64(view: DataView, at: number): number {
  return view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
}

function setInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
