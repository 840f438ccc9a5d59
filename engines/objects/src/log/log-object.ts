/**
 * A write-ahead object: runs of many segments, as they were appended, one behind the other. Rows in Meta say where each lies, so nothing of
 * this is needed to read it; the index and the footer let a person, or `archive verify`, see what an object holds.
 * A file that is appended to holds several of these, one behind the other; what is said of places counts from where each begins.
 *
 *     0     magic 'RWAL' (4), version u16, zero u16, life's uid (16), number u64
 *    32     runs
 *     i     index: per run  uid of the segment (16), at u64, bytes u32, base u64, next u64, CRC32C u32
 *   -32     footer: index at u64, runs u32, CRC32C of index u32, CRC32C of the header u32, zero u32, magic 'LAWR', CRC32C of the 28 bytes before u32
 */
import { crc32c } from '@node-rs/crc32';

export const LOG_VERSION = 1;
const HEADER_BYTES = 32;
const ENTRY_BYTES = 48;
const FOOTER_BYTES = 32;

export interface Run {
  /** The segment's uid. */
  readonly uid: string;
  readonly batches: readonly Uint8Array[];
  readonly bytes: number;
  readonly base: number;
  readonly next: number;
}

export interface PlacedRun {
  readonly at: number;
  readonly crc: number;
}

/** One buffer of all, and where each run lies in it. */
export function encodeLogObject(
  object: { readonly uid: string; readonly number: number },
  runs: readonly Run[],
): { readonly body: Buffer; readonly placed: readonly PlacedRun[] } {
  const runBytes = runs.reduce((sum, { bytes }) => sum + bytes, 0);
  const body = Buffer.allocUnsafeSlow(HEADER_BYTES + runBytes + runs.length * ENTRY_BYTES + FOOTER_BYTES);
  body.fill(0, 0, HEADER_BYTES);
  body.write('RWAL', 0, 'latin1');
  body.writeUInt16BE(LOG_VERSION, 4);
  writeUid(body, object.uid, 8);
  body.writeBigUInt64BE(BigInt(object.number), 24);
  const placed: PlacedRun[] = [];
  let at = HEADER_BYTES;
  for (const { batches } of runs) {
    const from = at;
    for (const batch of batches) {
      body.set(batch, at);
      at += batch.length;
    }
    placed.push({ at: from, crc: crc32c(body.subarray(from, at)) >>> 0 });
  }
  const indexAt = at;
  for (const [i, { uid, bytes, base, next }] of runs.entries()) {
    const { at: runAt, crc } = placed[i] ?? { at: 0, crc: 0 };
    writeUid(body, uid, at);
    body.writeBigUInt64BE(BigInt(runAt), at + 16);
    body.writeUInt32BE(bytes, at + 24);
    body.writeBigUInt64BE(BigInt(base), at + 28);
    body.writeBigUInt64BE(BigInt(next), at + 36);
    body.writeUInt32BE(crc, at + 44);
    at += ENTRY_BYTES;
  }
  body.fill(0, at);
  body.writeBigUInt64BE(BigInt(indexAt), at);
  body.writeUInt32BE(runs.length, at + 8);
  body.writeUInt32BE(crc32c(body.subarray(indexAt, at)) >>> 0, at + 12);
  body.writeUInt32BE(crc32c(body.subarray(0, HEADER_BYTES)) >>> 0, at + 16);
  body.write('LAWR', at + 24, 'latin1');
  body.writeUInt32BE(crc32c(body.subarray(at, at + FOOTER_BYTES - 4)) >>> 0, at + FOOTER_BYTES - 4);
  return { body, placed };
}

function writeUid(into: Buffer, uid: string, at: number): void {
  into.write(uid.replaceAll('-', ''), at, 16, 'hex');
}
