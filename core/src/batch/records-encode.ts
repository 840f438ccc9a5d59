import { StorageError } from '../errors.ts';
import { writeCrc } from './check.ts';
import { compress } from './codec/codec.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  CODECS,
  type Codec,
  codecOf,
  NO_PRODUCER,
  writeHeader,
} from './header.ts';
import type { RecordToWrite } from './records.ts';
import { sizeOfInt32, sizeOfInt64, writeInt32, writeInt64 } from './varint.ts';

export interface EncodeOptions {
  readonly codec?: Codec;
  /** Of the first record; 0 unless said otherwise, core writes the real one at admission. */
  readonly baseOffset?: number;
  /** When given, readers see this time in every record, and not the records' own. */
  readonly logAppendTime?: number;
  /** Of an idempotent producer; `sequence` is the first record's. */
  readonly producer?: { readonly id: number; readonly epoch: number; readonly sequence: number };
  readonly transactional?: boolean;
  readonly control?: boolean;
}

/** One batch of these records, dense from the base offset. Copies the payloads once; more than once only to compress them. */
export function encodeBatch(records: readonly RecordToWrite[], options: EncodeOptions = {}): Uint8Array {
  const first = records[0];
  if (first === undefined) throw new StorageError('INVALID_ARGUMENT', 'a batch of no records');
  let maxTimestamp = first.timestamp;
  let bytes = BATCH_HEADER_BYTES;
  const bodies = records.map((record, index) => {
    if (!Number.isSafeInteger(record.timestamp))
      throw new StorageError('INVALID_ARGUMENT', `a timestamp of ${record.timestamp}`);
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp;
    const body = sizeOfBody(record, record.timestamp - first.timestamp, index);
    bytes += sizeOfInt32(body) + body;
    return body;
  });
  const batch = Buffer.allocUnsafe(bytes);
  let at = BATCH_HEADER_BYTES;
  records.forEach((record, index) => {
    at = writeInt32(batch, at, bodies[index] ?? 0);
    at = writeBody(batch, at, record, record.timestamp - first.timestamp, index);
  });
  const codec = options.codec ?? 'none';
  const fields: BatchFields = {
    baseOffset: options.baseOffset ?? 0,
    leaderEpoch: -1,
    attributes:
      CODECS.indexOf(codec) |
      (options.logAppendTime === undefined ? 0 : 0x08) |
      (options.transactional === true ? 0x10 : 0) |
      (options.control === true ? 0x20 : 0),
    lastOffsetDelta: records.length - 1,
    baseTimestamp: first.timestamp,
    maxTimestamp: options.logAppendTime ?? maxTimestamp,
    producerId: options.producer?.id ?? NO_PRODUCER,
    producerEpoch: options.producer?.epoch ?? -1,
    baseSequence: options.producer?.sequence ?? -1,
    recordCount: records.length,
  };
  return codec === 'none' ? finish(batch, fields) : packBatch(batch.subarray(BATCH_HEADER_BYTES), fields);
}

/** What a header says beside what follows from the bytes. */
export type BatchFields = Omit<BatchHeader, 'bytes' | 'crc'>;

/** A batch of plain records that are encoded already, compressed as `fields.attributes` says. Of no records: none, whatever the codec. */
export function packBatch(plain: Uint8Array, fields: BatchFields): Uint8Array {
  const codec = codecOf(fields);
  if (codec === undefined) throw new StorageError('INVALID_ARGUMENT', `codec ${fields.attributes & 0x7}`);
  const stored = fields.recordCount === 0 ? plain : compress(codec, plain);
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + stored.length);
  batch.set(stored, BATCH_HEADER_BYTES);
  return finish(batch, fields);
}

function finish(batch: Uint8Array, fields: BatchFields): Uint8Array {
  writeHeader(batch, { ...fields, bytes: batch.length, crc: 0 });
  writeCrc(batch);
  return batch;
}

function sizeOfBody(record: RecordToWrite, timestampDelta: number, offsetDelta: number): number {
  const headers = record.headers ?? [];
  let size = 1 + sizeOfInt64(timestampDelta) + sizeOfInt32(offsetDelta) + sizeOfInt32(headers.length);
  size += sizeOfField(record.key?.length ?? -1) + sizeOfField(record.value?.length ?? -1);
  for (const { key, value } of headers) size += sizeOfField(Buffer.byteLength(key)) + sizeOfField(value?.length ?? -1);
  return size;
}

function sizeOfField(length: number): number {
  return sizeOfInt32(length) + Math.max(0, length);
}

function writeBody(
  batch: Buffer,
  start: number,
  record: RecordToWrite,
  timestampDelta: number,
  offsetDelta: number,
): number {
  batch[start] = 0; // attributes
  let at = writeInt64(batch, start + 1, timestampDelta);
  at = writeInt32(batch, at, offsetDelta);
  at = writeField(batch, at, record.key);
  at = writeField(batch, at, record.value);
  const headers = record.headers ?? [];
  at = writeInt32(batch, at, headers.length);
  for (const { key, value } of headers) {
    at = writeInt32(batch, at, Buffer.byteLength(key));
    at += batch.write(key, at);
    at = writeField(batch, at, value);
  }
  return at;
}

function writeField(batch: Uint8Array, at: number, field: Uint8Array | null): number {
  if (field === null) return writeInt32(batch, at, -1);
  const next = writeInt32(batch, at, field.length);
  batch.set(field, next);
  return next + field.length;
}
