/**
 * The records inside a batch. `encodeBatch` writes a whole batch; `decodeRecords` reads one into objects, whose bytes are views into
 * the batch (or into what it was decompressed to); {@link RecordCursor} walks it without an object a record.
 */
import { MAX_DECOMPRESSED_BYTES } from './codec/codec.ts';
import { RecordCursor } from './records-cursor.ts';

export { RecordCursor } from './records-cursor.ts';
export { type BatchFields, type EncodeOptions, encodeBatch, packBatch } from './records-encode.ts';

export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface RecordToWrite {
  /** Milliseconds since 1970; -1: none. */
  readonly timestamp: number;
  /** `null` is not the same as no bytes. */
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
}

export interface StoredRecord {
  readonly offset: number;
  /** The client's, or the batch's when that carries the time of the append. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

export interface DecodeOptions {
  /** What the records may grow to when they are decompressed; 64 MiB unless said otherwise. */
  readonly maxDecompressedBytes?: number;
}

/**
 * All records of the batch that begins at `at`. Its CRC is not looked at: that was done where the batch came in.
 * @throws BATCH_INVALID for anything that isn't exactly a batch of that many records.
 */
export function decodeRecords(batch: Uint8Array, options: DecodeOptions = {}, at = 0): StoredRecord[] {
  const cursor = new RecordCursor(batch, at, options.maxDecompressedBytes ?? MAX_DECOMPRESSED_BYTES);
  const records: StoredRecord[] = [];
  while (cursor.next()) {
    const { offset, timestamp, key, value } = cursor;
    records.push({ offset, timestamp, key, value, headers: cursor.headers() });
  }
  return records;
}

/** The first record, in offset order, whose timestamp is `timestamp` or later. @throws BATCH_INVALID */
export function firstRecordAtOrAfter(
  batch: Uint8Array,
  timestamp: number,
  options: DecodeOptions = {},
): { readonly offset: number; readonly timestamp: number } | undefined {
  const cursor = new RecordCursor(batch, 0, options.maxDecompressedBytes ?? MAX_DECOMPRESSED_BYTES);
  while (cursor.next())
    if (cursor.timestamp >= timestamp) return { offset: cursor.offset, timestamp: cursor.timestamp };
  return undefined;
}
