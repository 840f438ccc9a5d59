import { crc32 } from 'node:zlib';
import { type FileHandle, MAX_STATE_BYTES } from '@robustmq/core';
import { MAX_BATCH_BYTES } from './settings.ts';

/**
 * One entry of the file:
 *
 *     0  magic        uint32
 *     4  length       uint32   of the whole frame
 *     8  crc          uint32   of everything behind it, begun with its place in the file: a copy of a frame elsewhere is none
 *    12  proven       uint48   the file is known to be synced up to here: damage below it is no torn tail
 *    18  kind         uint8
 *    19  id length    uint8
 *    20  meta length  uint16   JSON
 *    22  id, meta, body
 */
export interface Frame {
  readonly kind: Kind;
  readonly id: string;
  readonly meta: Meta;
  readonly body: Uint8Array;
}

export type Kind = keyof typeof KINDS;

/** What the kinds need, each its own. */
export interface Meta {
  readonly incarnation?: string;
  readonly base?: number;
  readonly end?: number;
  readonly epoch?: number;
  readonly uid?: string;
  readonly attempt?: string;
}

const KINDS = { file: 0, mark: 1, create: 2, append: 3, seal: 4, part: 5, publish: 6, delete: 7 } as const;
const NAMES = Object.keys(KINDS) as Kind[]; // in the order of their numbers
const MAGIC = Buffer.from('rEng');
const HEADER_BYTES = 22;
const MAX_FRAME_BYTES = 2 * MAX_BATCH_BYTES + MAX_STATE_BYTES + 65_536;

/** Crc and `proven` are missing until {@link stamp}. */
export function encodeFrame(kind: Kind, id: string, meta: Meta, body: readonly Uint8Array[] = []): Buffer {
  const json = Buffer.from(JSON.stringify(meta));
  const frame = Buffer.concat([Buffer.alloc(HEADER_BYTES), Buffer.from(id), json, ...body]);
  MAGIC.copy(frame);
  frame.writeUInt32BE(frame.length, 4);
  frame.writeUInt8(KINDS[kind], 18);
  frame.writeUInt8(id.length, 19);
  frame.writeUInt16BE(json.length, 20);
  return frame;
}

export function stamp(frame: Buffer, at: number, proven: number): void {
  frame.writeUIntBE(proven, 12, 6);
  frame.writeUInt32BE(crcOf(frame, at), 8);
}

export function decodeFrame(frame: Buffer): Frame {
  const bodyAt = bodyOffset(frame);
  const metaAt = HEADER_BYTES + frame.readUInt8(19);
  return {
    kind: NAMES[frame.readUInt8(18)] ?? 'mark',
    id: frame.toString('latin1', HEADER_BYTES, metaAt),
    meta: JSON.parse(frame.toString('utf8', metaAt, bodyAt)) as Meta, // its CRC says that we wrote it
    body: frame.subarray(bodyAt),
  };
}

export function bodyOffset(frame: Buffer): number {
  return HEADER_BYTES + frame.readUInt8(19) + frame.readUInt16BE(20);
}

export function provenBy(frame: Buffer): number {
  return frame.readUIntBE(12, 6);
}

/** Reads a file front to back through one buffer. */
export class FrameReader {
  readonly #file: FileHandle;
  readonly #size: number;
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;

  constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /** The whole, intact frame at `position`, if there is one. */
  async frameAt(position: number): Promise<Buffer | undefined> {
    const header = await this.#at(position, HEADER_BYTES);
    if (header === undefined || header.compare(MAGIC, 0, 4, 0, 4) !== 0) return undefined;
    const length = header.readUInt32BE(4);
    if (length < HEADER_BYTES || length > MAX_FRAME_BYTES) return undefined;
    const frame = await this.#at(position, length);
    if (frame === undefined || bodyOffset(frame) > length) return undefined;
    return crcOf(frame, position) === frame.readUInt32BE(8) ? frame : undefined;
  }

  /** Where the next thing that may be a frame begins, at or after `position`. */
  async nextMagic(position: number): Promise<number | undefined> {
    for (let at = position; at + HEADER_BYTES <= this.#size; ) {
      const window = await this.#at(at, Math.min(65_536, this.#size - at));
      const found = window?.indexOf(MAGIC) ?? -1;
      if (found >= 0) return at + found;
      at += Math.max(1, (window?.length ?? 0) - MAGIC.length);
    }
    return undefined;
  }

  async #at(position: number, length: number): Promise<Buffer | undefined> {
    if (position + length > this.#size) return undefined;
    const end = this.#from + this.#bytes.length;
    if (position < this.#from || position + length > end) {
      const wanted = Math.min(Math.max(length, 1024 * 1024), this.#size - position);
      this.#bytes = Buffer.alloc(wanted);
      this.#from = position;
      if ((await this.#file.read(this.#bytes, 0, wanted, position)) < wanted) return undefined;
    }
    return this.#bytes.subarray(position - this.#from, position - this.#from + length);
  }
}

function crcOf(frame: Buffer, at: number): number {
  return crc32(frame.subarray(12), at % 2 ** 32);
}
