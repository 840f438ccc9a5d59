/** How every value in the database is wrapped: magic `M1`, CRC32C of key, revision and value, revision as 64 bits, value. */
import { crc32c } from '@node-rs/crc32';

export interface SealedRow {
  readonly revision: number;
  readonly value: Uint8Array;
}

/** Bytes in front of the value. */
export const SEAL_BYTES = 14;

export function seal(key: string, revision: number, value: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(SEAL_BYTES + value.length);
  bytes.write('M1', 0, 'latin1');
  bytes.writeBigUInt64BE(BigInt(revision), 6);
  bytes.set(value, SEAL_BYTES);
  bytes.writeUInt32BE(crc32c(bytes.subarray(6), crc32c(key)) >>> 0, 2);
  return bytes;
}

/** @returns undefined for bytes that {@link seal} did not make for this key */
export function unseal(key: string, sealed: Uint8Array): SealedRow | undefined {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < SEAL_BYTES || bytes.toString('latin1', 0, 2) !== 'M1') return undefined;
  if (bytes.readUInt32BE(2) !== crc32c(bytes.subarray(6), crc32c(key)) >>> 0) return undefined;
  return { revision: Number(bytes.readBigUInt64BE(6)), value: bytes.subarray(SEAL_BYTES) };
}
