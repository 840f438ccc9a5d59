import { crc32c } from '@node-rs/crc32';
import { crc32cSmall } from '@robustmq/core/crc32c';
import { BATCH_HEAD_BYTES, ENTRY_HEADER_BYTES, type EntryHeader, KIND } from './frames.ts';

/** True when the body that follows the header at `at` is what was written: its own CRC, and for an append each batch's. */
export function isBodyWhole(bytes: Buffer, at: number, header: EntryHeader): boolean {
  const from = at + ENTRY_HEADER_BYTES;
  const to = from + header.bodyBytes;
  if (to > bytes.length) return false;
  if (header.kind !== KIND.append) return crc32c(bytes.subarray(from, to)) === header.bodyCrc;
  let crc = 0;
  let batch = from;
  for (let part = 0; part < header.parts; part++) {
    if (batch + BATCH_HEAD_BYTES > to) return false;
    crc = crc32cSmall(bytes, batch, batch + BATCH_HEAD_BYTES, crc);
    const end = batch + 12 + bytes.readInt32BE(batch + 8);
    if (end < batch + BATCH_HEAD_BYTES || end > to) return false;
    if (crc32c(bytes.subarray(batch + BATCH_HEAD_BYTES, end)) !== bytes.readUInt32BE(batch + 17)) return false;
    batch = end;
  }
  return batch === to && crc === header.bodyCrc;
}
