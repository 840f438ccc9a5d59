import { crc32c } from '@node-rs/crc32';
import { crc32cSmall } from '../crc32c.ts';
import { StorageError } from '../errors.ts';
import {
  BATCH_HEADER_BYTES,
  BATCH_LOG_OVERHEAD,
  BATCH_MAGIC,
  type BatchHeader,
  CODECS,
  CRC_FROM,
  readHeader,
  viewOf,
} from './header.ts';

/** The bound of offsets, so that `base + recordCount` stays a safe integer. */
export const MAX_OFFSET: number = Number.MAX_SAFE_INTEGER - 2 ** 31;

/**
 * The header of the batch that begins at `at`, with shape and CRC checked; records are not decoded.
 * @throws BATCH_INVALID
 */
export function checkBatch(bytes: Uint8Array, at = 0): BatchHeader {
  const header = checkShape(bytes, at);
  const actual = crc32c(bytes.subarray(at + CRC_FROM, at + header.bytes)) >>> 0;
  if (actual !== header.crc) throw invalid(`CRC is ${hex(actual)}, the header says ${hex(header.crc)}`, at);
  return header;
}

/** As {@link checkBatch} without the CRC. */
export function checkShape(bytes: Uint8Array, at = 0): BatchHeader {
  if (bytes.length - at < BATCH_HEADER_BYTES)
    throw invalid(`${bytes.length - at} bytes are less than a batch header`, at);
  const magic = bytes[at + 16];
  if (magic !== BATCH_MAGIC) throw invalid(`magic is ${magic}, only version 2 batches are kept`, at);
  const header = readHeader(bytes, at);
  if (header.bytes < BATCH_HEADER_BYTES || header.bytes > bytes.length - at)
    throw invalid(`batch length says ${header.bytes - BATCH_LOG_OVERHEAD}, ${bytes.length - at} bytes are there`, at);
  if (header.recordCount < 0 || header.lastOffsetDelta < 0 || header.lastOffsetDelta < header.recordCount - 1)
    throw invalid(`${header.recordCount} records but a last offset delta of ${header.lastOffsetDelta}`, at);
  // 64-bit fields that a number can't hold exactly are nobody's clock or id, and would not come back from a Meta row
  const { baseTimestamp, maxTimestamp, producerId } = header;
  if (!Number.isSafeInteger(baseTimestamp) || !Number.isSafeInteger(maxTimestamp))
    throw invalid(`timestamps of about ${baseTimestamp} and ${maxTimestamp}`, at);
  if (!Number.isSafeInteger(producerId)) throw invalid(`producer id of about ${producerId}`, at);
  if (CODECS[header.attributes & 0x7] === undefined)
    throw invalid(`codec ${header.attributes & 0x7} does not exist`, at);
  return header;
}

/**
 * Calls `visit` with the header of each batch in `bytes`, which must be whole batches one behind the other.
 * @throws BATCH_INVALID
 */
export function forEachBatch(
  bytes: Uint8Array,
  visit: (header: BatchHeader, at: number) => void,
  check: (bytes: Uint8Array, at: number) => BatchHeader = checkShape,
): void {
  for (let at = 0; at < bytes.length; ) {
    const header = check(bytes, at);
    visit(header, at);
    at += header.bytes;
  }
}

/** CRC32C over the headers of batches in order, begun with `crc` 0: the digest of a segment. */
export function headerDigest(crc: number, bytes: Uint8Array, at = 0): number {
  return crc32cSmall(bytes, at, at + BATCH_HEADER_BYTES, crc);
}

/** Writes the CRC into the one batch in `batch`. */
export function writeCrc(batch: Uint8Array): void {
  viewOf(batch).setUint32(17, crc32c(batch.subarray(CRC_FROM)) >>> 0);
}

function invalid(what: string, at: number): StorageError {
  return new StorageError('BATCH_INVALID', at === 0 ? what : `${what}, at byte ${at}`);
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
