/**
 * The image of one sealed segment, as it lies in an object. Little-endian; positions count from the image's first byte, so it may lie
 * anywhere: an object holds one image, or several small ones one behind the other.
 *
 *     header    64 bytes
 *          0  magic "RMQO" u32, version u32
 *          8  uid, 16 bytes: names the attempt that wrote it
 *         24  base u64
 *         32  epoch u32
 *         36  24 bytes of zeros
 *         60  crc u32 of bytes 0..59
 *     batches   whole record batches one behind the other, as they came; read and checked in blocks
 *     state     core's fold at base
 *     index     56 bytes a block (`block-index.ts`)
 *     footer    128 bytes
 *          0  base u64, end u64
 *         16  epoch u32, blocks u32
 *         24  uid, 16 bytes
 *         40  bytes of all batches u64, of the image u64
 *         56  state: position u64, bytes u32, crc u32
 *         72  index: position u64, bytes u64, crc u32
 *         92  digest u32: CRC32C over the headers of all batches
 *         96  smallest base timestamp i64, largest timestamp i64; both -1 without a batch
 *        112  crc u32 of bytes 0..111 and 116..127
 *        116  bytes of the footer u32, version u32, magic "RMQE" u32: there in every version to come
 *
 * Who has the footer needs no header: it is for those who find an image from its front, and says nothing else.
 */
import { crc32c } from '@node-rs/crc32';
import { int64At, setInt64, viewOf } from './fields.ts';

export const IMAGE_VERSION = 1;
export const HEADER_MAGIC = 0x4f514d52;
export const FOOTER_MAGIC = 0x45514d52;
export const HEADER_BYTES = 64;
export const FOOTER_BYTES = 128;
export const BLOCK_ENTRY_BYTES = 56;

/** Where an image lies. */
export interface Placement {
  /** The whole key of the object. */
  readonly key: string;
  /** The image's first byte in the object. */
  readonly at: number;
  readonly bytes: number;
  readonly objectBytes: number;
}

export interface ImageHeader {
  /** 32 hexadecimal digits, in lower case. */
  readonly uid: string;
  readonly base: number;
  readonly epoch: number;
}

export interface ImageFooter extends ImageHeader {
  readonly end: number;
  readonly blocks: number;
  readonly batchBytes: number;
  readonly imageBytes: number;
  readonly stateAt: number;
  readonly stateBytes: number;
  readonly stateCrc: number;
  readonly indexAt: number;
  readonly indexBytes: number;
  readonly indexCrc: number;
  readonly digest: number;
  readonly minTs: number;
  readonly maxTs: number;
}

/** What is wrong with bytes that should be a header or a footer. */
export type FormatTrouble =
  | { readonly trouble: 'damaged'; readonly what: string }
  | { readonly trouble: 'too-new'; readonly version: number };

export function encodeHeader({ uid, base, epoch }: ImageHeader): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, HEADER_MAGIC, true);
  view.setUint32(4, IMAGE_VERSION, true);
  bytes.write(uid, 8, 'hex');
  setInt64(view, 24, base);
  view.setUint32(32, epoch, true);
  view.setUint32(60, crc32c(bytes.subarray(0, 60)), true);
  return bytes;
}

export function decodeHeader(bytes: Uint8Array): ImageHeader | FormatTrouble {
  if (bytes.length < HEADER_BYTES) return damaged('its header is cut off');
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== HEADER_MAGIC) return damaged('it does not begin as a segment');
  if (view.getUint32(60, true) !== crc32c(bytes.subarray(0, 60))) return damaged('its header is damaged');
  const version = view.getUint32(4, true);
  if (version !== IMAGE_VERSION) return ofVersion(version, 'its header');
  return { uid: hexAt(bytes, 8), base: int64At(view, 24), epoch: view.getUint32(32, true) };
}

export function encodeFooter(footer: ImageFooter): Uint8Array {
  const bytes = Buffer.alloc(FOOTER_BYTES);
  const view = viewOf(bytes);
  setInt64(view, 0, footer.base);
  setInt64(view, 8, footer.end);
  view.setUint32(16, footer.epoch, true);
  view.setUint32(20, footer.blocks, true);
  bytes.write(footer.uid, 24, 'hex');
  setInt64(view, 40, footer.batchBytes);
  setInt64(view, 48, footer.imageBytes);
  setInt64(view, 56, footer.stateAt);
  view.setUint32(64, footer.stateBytes, true);
  view.setUint32(68, footer.stateCrc, true);
  setInt64(view, 72, footer.indexAt);
  setInt64(view, 80, footer.indexBytes);
  view.setUint32(88, footer.indexCrc, true);
  view.setUint32(92, footer.digest, true);
  setInt64(view, 96, footer.minTs);
  setInt64(view, 104, footer.maxTs);
  view.setUint32(116, FOOTER_BYTES, true);
  view.setUint32(120, IMAGE_VERSION, true);
  view.setUint32(124, FOOTER_MAGIC, true);
  view.setUint32(112, footerCrc(bytes), true);
  return bytes;
}

/** `bytes`: exactly the footer's. */
export function decodeFooter(bytes: Uint8Array): ImageFooter | FormatTrouble {
  if (bytes.length !== FOOTER_BYTES) return damaged('its footer is cut off');
  const view = viewOf(bytes);
  if (view.getUint32(124, true) !== FOOTER_MAGIC) return damaged('it does not end as a segment');
  const version = view.getUint32(120, true);
  if (version !== IMAGE_VERSION && !isFlipped(bytes)) return ofVersion(version, 'its footer');
  if (view.getUint32(112, true) !== footerCrc(bytes)) return damaged('its footer is damaged');
  const footer: ImageFooter = {
    base: int64At(view, 0),
    end: int64At(view, 8),
    epoch: view.getUint32(16, true),
    blocks: view.getUint32(20, true),
    uid: hexAt(bytes, 24),
    batchBytes: int64At(view, 40),
    imageBytes: int64At(view, 48),
    stateAt: int64At(view, 56),
    stateBytes: view.getUint32(64, true),
    stateCrc: view.getUint32(68, true),
    indexAt: int64At(view, 72),
    indexBytes: int64At(view, 80),
    indexCrc: view.getUint32(88, true),
    digest: view.getUint32(92, true),
    minTs: int64At(view, 96),
    maxTs: int64At(view, 104),
  };
  return fits(footer) ? footer : damaged('its footer does not add up');
}

export function isTrouble(decoded: object | FormatTrouble): decoded is FormatTrouble {
  return 'trouble' in decoded;
}

/** Each part lies right behind the one before. */
function fits(footer: ImageFooter): boolean {
  const { base, end, batchBytes, stateAt, stateBytes, indexAt, indexBytes, imageBytes, blocks } = footer;
  return (
    [base, end, batchBytes, stateAt, indexAt, indexBytes, imageBytes].every((one) => Number.isSafeInteger(one)) &&
    base >= 0 &&
    base <= end &&
    batchBytes >= 0 &&
    stateAt === HEADER_BYTES + batchBytes &&
    indexAt === stateAt + stateBytes &&
    indexBytes === blocks * BLOCK_ENTRY_BYTES &&
    imageBytes === indexAt + indexBytes + FOOTER_BYTES
  );
}

/** With this version in it the footer is whole: a flipped bit made it another's. */
function isFlipped(bytes: Uint8Array): boolean {
  const ours = Buffer.from(bytes);
  ours.writeUInt32LE(IMAGE_VERSION, 120);
  return ours.readUInt32LE(112) === footerCrc(ours);
}

function footerCrc(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(116, FOOTER_BYTES), crc32c(bytes.subarray(0, 112)));
}

function ofVersion(version: number, what: string): FormatTrouble {
  return version > IMAGE_VERSION ? { trouble: 'too-new', version } : damaged(`${what} is of version ${version}`);
}

function damaged(what: string): FormatTrouble {
  return { trouble: 'damaged', what };
}

function hexAt(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, 16).toString('hex');
}
