/**
 * What the engine knows about a segment, as a file: `<id>.head` while the segment is open, `<id>.footer` once it is sealed.
 * Little-endian: 128 bytes of fields, then the uid, then core's state.
 *
 *      0  magic "RMQS"       24  base         u64      64  maxTimestamp  f64      92  stateBytes  u32
 *      4  version      u32   32  end          u64      72  indexCount    u32      96  bodyCrc     u32  of uid and state
 *      8  flags        u32   40  epoch        u32      76  lastIndexed   u64     124  crc         u32  of bytes 0..123
 *     12  number       u32   44  fencedEpoch  u32      84  digest        u32
 *     16  nonce        u32   48  bytes        u64      88  uidBytes      u32
 */
import { crc32c } from '@node-rs/crc32';
import { getUint64, setUint64 } from '../wal/frames.ts';

export const DESCRIPTOR_MAGIC = 0x53514d52;
export const DESCRIPTOR_VERSION = 1;
export const DESCRIPTOR_BYTES = 128;

export interface Descriptor {
  readonly number: number;
  /** Drawn when the segment was made: tells it from another of the same name. */
  readonly nonce: number;
  readonly sealed: boolean;
  readonly ingested: boolean;
  readonly base: number;
  readonly end: number;
  readonly epoch: number;
  /** The highest epoch that asked for its recovery, or its own. */
  readonly fencedEpoch: number;
  readonly bytes: number;
  readonly maxTimestamp: number;
  readonly indexCount: number;
  readonly lastIndexed: number;
  /** CRC32C over all batch headers, of an ingested segment; 0 for others. */
  readonly digest: number;
}

export function encodeDescriptor(facts: Descriptor, uid: string, state: Uint8Array): Buffer {
  const name = Buffer.from(uid);
  const bytes = Buffer.alloc(DESCRIPTOR_BYTES + name.length + state.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(0, DESCRIPTOR_MAGIC, true);
  view.setUint32(4, DESCRIPTOR_VERSION, true);
  view.setUint32(8, (facts.sealed ? 1 : 0) | (facts.ingested ? 2 : 0), true);
  view.setUint32(12, facts.number, true);
  view.setUint32(16, facts.nonce, true);
  setUint64(view, 24, facts.base);
  setUint64(view, 32, facts.end);
  view.setUint32(40, facts.epoch, true);
  view.setUint32(44, facts.fencedEpoch, true);
  setUint64(view, 48, facts.bytes);
  view.setFloat64(64, facts.maxTimestamp, true);
  view.setUint32(72, facts.indexCount, true);
  setUint64(view, 76, facts.lastIndexed);
  view.setUint32(84, facts.digest, true);
  view.setUint32(88, name.length, true);
  view.setUint32(92, state.length, true);
  bytes.set(name, DESCRIPTOR_BYTES);
  bytes.set(state, DESCRIPTOR_BYTES + name.length);
  view.setUint32(96, crc32c(bytes.subarray(DESCRIPTOR_BYTES)), true);
  view.setUint32(124, crc32c(bytes.subarray(0, 124)), true);
  return bytes;
}

/** The fields alone, or `undefined` when they are damaged. */
export function decodeDescriptor(bytes: Buffer): Descriptor | undefined {
  if (bytes.length < DESCRIPTOR_BYTES || bytes.readUInt32LE(0) !== DESCRIPTOR_MAGIC) return undefined;
  if (bytes.readUInt32LE(124) !== crc32c(bytes.subarray(0, 124))) return undefined;
  if (bytes.readUInt32LE(4) !== DESCRIPTOR_VERSION) return undefined;
  const flags = bytes.readUInt32LE(8);
  return {
    sealed: (flags & 1) !== 0,
    ingested: (flags & 2) !== 0,
    number: bytes.readUInt32LE(12),
    nonce: bytes.readUInt32LE(16),
    base: getUint64(bytes, 24),
    end: getUint64(bytes, 32),
    epoch: bytes.readUInt32LE(40),
    fencedEpoch: bytes.readUInt32LE(44),
    bytes: getUint64(bytes, 48),
    maxTimestamp: bytes.readDoubleLE(64),
    indexCount: bytes.readUInt32LE(72),
    lastIndexed: getUint64(bytes, 76),
    digest: bytes.readUInt32LE(84),
  };
}

/** Uid and state of a whole file whose fields are good, or `undefined` when they are damaged. */
export function decodeBody(bytes: Buffer): { readonly uid: string; readonly state: Buffer } | undefined {
  const uidBytes = bytes.readUInt32LE(88);
  const stateBytes = bytes.readUInt32LE(92);
  const end = DESCRIPTOR_BYTES + uidBytes + stateBytes;
  if (bytes.length < end || bytes.readUInt32LE(96) !== crc32c(bytes.subarray(DESCRIPTOR_BYTES, end))) return undefined;
  return {
    uid: bytes.toString('utf8', DESCRIPTOR_BYTES, DESCRIPTOR_BYTES + uidBytes),
    state: bytes.subarray(DESCRIPTOR_BYTES + uidBytes, end),
  };
}
