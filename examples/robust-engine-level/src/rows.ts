import { crc32 } from 'node:zlib';
import { BATCH_HEADER_BYTES, StorageError } from '@robustmq/core';

/**
 * What lies in the database. Numbers are big-endian, so that keys sort by them.
 *
 *     m                              the medium: one row
 *     s id                           a segment, as far as it can be seen
 *     x key:8                        its state
 *     b key:8 next:8 prev:8 crc:4    a batch, as it came. `next` first, so that the first row past an offset holds that offset;
 *                                    `prev` is where the row before ends, so that a missing row is noticed
 *     t key:8 time:8                 the first batch of a later time than all before it: {@link TimeRow}
 *     d key:8                        batches and times of this key are to go: a deleted segment, or a copy that is still on its way in
 *
 * `key` is given out once and never again, so that nothing of a deleted segment can be taken for part of a later one.
 */
export const FORMAT = 1;

export interface MediumRow {
  readonly format: number;
  readonly incarnation: string;
  /** Commits so far. The file beside the database knows how many there must be. */
  readonly commits: number;
  /** The next key to give out. */
  readonly nextKey: number;
  /** Of all segment rows together: one that is missing, or an old one in its place, is noticed. */
  readonly digest: number;
}

export interface SegmentRow {
  readonly id: string;
  readonly key: number;
  readonly base: number;
  readonly end: number;
  /** The end of the last batch; below `end` if a hole follows. */
  readonly last: number;
  readonly epoch: number;
  readonly sealed: boolean;
  /** Of a copy that came in. */
  readonly uid?: string;
  readonly bytes: number;
  readonly crc: number;
  readonly stateCrc: number;
  /** Of all batches, once there is one. */
  readonly maxTime?: number;
}

export interface TimeRow {
  readonly base: number;
  /** The time of the row before, if there is one. */
  readonly before?: number;
}

export const MEDIUM_KEY: Buffer = Buffer.from('m');

export function segmentKey(id: string): Buffer {
  return Buffer.from(`s${id}`);
}

export function stateKey(key: number): Buffer {
  return keyOf('x', key);
}

export function doomedKey(key: number): Buffer {
  return keyOf('d', key);
}

export function keyOfDoomed(row: Uint8Array): number {
  return Number(Buffer.from(row).readBigUInt64BE(1));
}

/** Rows of one kind and key; or of all keys. */
export function rangeOf(kind: 'b' | 't' | 'd' | 's', key?: number): { readonly gte: Buffer; readonly lt: Buffer } {
  if (key === undefined) return { gte: Buffer.from(kind), lt: Buffer.from([kind.charCodeAt(0) + 1]) };
  return { gte: keyOf(kind, key), lt: keyOf(kind, key + 1) };
}

const BATCH_KEY_BYTES = 29;

/** Below the row that ends above `offset`, and above all before it. */
export function batchBound(key: number, offset: number): Buffer {
  return keyOf('b', key, offset + 1);
}

export function batchKey(key: number, next: number, prev: number, batch: Uint8Array, at: number): Buffer {
  const row = Buffer.allocUnsafe(BATCH_KEY_BYTES);
  row[0] = 'b'.charCodeAt(0);
  row.writeBigUInt64BE(BigInt(key), 1);
  row.writeBigUInt64BE(BigInt(next), 9);
  row.writeBigUInt64BE(BigInt(prev), 17);
  row.writeUInt32BE(batchCrc(row, batch, at), 25);
  return row;
}

/** What lies in the key, if key and batch are what was written. The rest of the batch has a checksum of its own, in its header. */
export function checkedBatch(row: Buffer, batch: Uint8Array): { readonly next: number; readonly prev: number } {
  if (
    row.length !== BATCH_KEY_BYTES ||
    batch.length < BATCH_HEADER_BYTES ||
    row.readUInt32BE(25) !== batchCrc(row, batch, 0)
  )
    throw damaged('a batch');
  return { next: Number(row.readBigUInt64BE(9)), prev: Number(row.readBigUInt64BE(17)) };
}

export function timeKey(key: number, time: number): Buffer {
  // clients may send any int64, and below zero sorts before above
  const clamped = time >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(Math.trunc(Math.max(time, -(2 ** 63))));
  const row = Buffer.allocUnsafe(17);
  row[0] = 't'.charCodeAt(0);
  row.writeBigUInt64BE(BigInt(key), 1);
  row.writeBigUInt64BE(clamped + 2n ** 63n, 9);
  return row;
}

/** JSON behind its checksum, which the key goes into: a row that lies in the wrong place is none. */
export function encodeRow(key: Uint8Array, row: MediumRow | SegmentRow | TimeRow): Buffer {
  const json = Buffer.from(JSON.stringify(row));
  const bytes = Buffer.allocUnsafe(4 + json.length);
  bytes.writeUInt32BE(crc32(json, crc32(key)));
  json.copy(bytes, 4);
  return bytes;
}

export function decodeRow<Row extends MediumRow | SegmentRow | TimeRow>(key: Uint8Array, bytes: Buffer): Row {
  if (bytes.length < 4 || crc32(bytes.subarray(4), crc32(key)) !== bytes.readUInt32BE(0))
    throw damaged(`the row ${Buffer.from(key).toString('latin1')}`);
  return JSON.parse(bytes.toString('utf8', 4)) as Row; // its checksum says that we wrote it, and the key which kind it is
}

/** What a row adds to the digest of all: put in and taken out the same way. */
export function shareOf(encoded: Buffer): number {
  return encoded.readUInt32BE(0);
}

export function damaged(what: string): StorageError {
  return new StorageError('CORRUPT', `${what} is damaged or missing`, { hint: 'Restore the directory from a copy' });
}

function keyOf(kind: string, ...numbers: readonly number[]): Buffer {
  const row = Buffer.allocUnsafe(1 + 8 * numbers.length);
  row[0] = kind.charCodeAt(0);
  numbers.forEach((number, i) => {
    row.writeBigUInt64BE(BigInt(number), 1 + 8 * i);
  });
  return row;
}

function batchCrc(row: Buffer, batch: Uint8Array, at: number): number {
  return crc32(batch.subarray(at, at + BATCH_HEADER_BYTES), crc32(row.subarray(0, 25)));
}
