import { crc32c } from '@node-rs/crc32';
import { BATCH_HEADER_BYTES, patchOffsetAndEpoch } from '@robustmq/core/batch';

export interface SmallBatch {
  readonly base: number;
  readonly count?: number;
  readonly payloadBytes?: number;
  readonly timestamp?: number;
}

/** A batch as far as storage looks at it: header, CRC, and a payload that tells which it is. */
export function batch({ base, count = 1, payloadBytes = 100, timestamp = 1000 + base }: SmallBatch): Buffer {
  const bytes = Buffer.alloc(BATCH_HEADER_BYTES + payloadBytes);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes[16] = 2;
  bytes.writeInt32BE(count - 1, 23);
  bytes.writeBigInt64BE(BigInt(timestamp), 27);
  bytes.writeBigInt64BE(BigInt(timestamp), 35);
  bytes.writeBigInt64BE(-1n, 43);
  bytes.writeInt16BE(-1, 51);
  bytes.writeInt32BE(-1, 53);
  bytes.writeInt32BE(count, 57);
  bytes.fill(`payload of ${base};`, BATCH_HEADER_BYTES);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  patchOffsetAndEpoch(bytes, base, 1);
  return bytes;
}
