import { crc32c } from '@node-rs/crc32';

export interface BatchOptions {
  readonly records?: number;
  readonly payload?: number;
  readonly attributes?: number;
  readonly producerId?: number;
  readonly baseSequence?: number;
  readonly timestamp?: number;
}

/** A record batch with a true header and CRC. Its records are noise: nothing in the broker may look at them. */
export function makeBatch(options: BatchOptions = {}): Buffer {
  // the smallest record has 7 bytes: what claims more records than it has room for is refused
  const { records = 1, producerId = -1 } = options;
  const payload = options.payload ?? Math.max(20, 7 * records);
  const batch = Buffer.alloc(61 + payload, 0x5a);
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(options.attributes ?? 0, 21);
  batch.writeInt32BE(records - 1, 23);
  batch.writeBigInt64BE(BigInt(options.timestamp ?? 1000), 27);
  batch.writeBigInt64BE(BigInt(options.timestamp ?? 1000), 35);
  batch.writeBigInt64BE(BigInt(producerId), 43);
  batch.writeInt16BE(producerId < 0 ? -1 : 0, 51);
  batch.writeInt32BE(options.baseSequence ?? (producerId < 0 ? -1 : 0), 53);
  batch.writeInt32BE(records, 57);
  batch.writeUInt32BE(crc32c(batch.subarray(21)) >>> 0, 17);
  return batch;
}
