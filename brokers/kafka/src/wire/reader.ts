import { malformed } from '../errors.ts';
import { readUuid } from './uuid.ts';

/**
 * Elements that one request may hold in all its arrays. An element takes a few bytes on the wire and some hundred in memory, so
 * the size of the frame alone is no bound. Ten times what a client with 20,000 partitions sends.
 */
export const MAX_ELEMENTS = 200_000;

/** What the classic form can say; the compact form is held to the same. */
const MAX_STRING_BYTES = 0x7fff;

/**
 * Reads the primitive types of the protocol. Never reads past its end, never allocates by a length that was only claimed.
 * Every failure is a `KAFKA_REQUEST_INVALID`.
 */
export class Reader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  #elements = MAX_ELEMENTS;

  constructor(bytes: Buffer, at = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1));
  }

  bool(): boolean {
    return this.int8() !== 0;
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  /** Offsets, ids and times are safe integers here; what is not one is refused at this edge. */
  int64(): number {
    const at = this.#take(8);
    const value = this.#bytes.readInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw malformed('an int64 outside of what any offset, id or time can be');
    return value;
  }

  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#take(1));
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw malformed('an unsigned varint of more than 32 bits');
  }

  uuid(): string {
    return readUuid(this.#bytes, this.#take(16));
  }

  /** Strict, so that a name that is echoed is as long as it came, and no two byte strings are one name. */
  string(compact: boolean): string | null {
    const length = compact ? this.uvarint() - 1 : this.int16();
    if (length < 0) return this.#null(length);
    if (length > MAX_STRING_BYTES) throw malformed(`a string of ${length} bytes`);
    const at = this.#take(length);
    const text = this.#bytes.toString('utf8', at, at + length);
    if (Buffer.byteLength(text) !== length) throw malformed('a string that is not UTF-8');
    return text;
  }

  /** A view of the frame, not a copy. */
  bytes(compact: boolean): Buffer | null {
    const length = compact ? this.uvarint() - 1 : this.int32();
    if (length < 0) return this.#null(length);
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** The number of elements that follow, each of at least `elementBytes`; null for a null array. */
  arrayLength(compact: boolean, elementBytes: number): number | null {
    const length = compact ? this.uvarint() - 1 : this.int32();
    if (length < 0) return this.#null(length);
    if (length * elementBytes > this.remaining)
      throw malformed(`an array says ${length} elements, ${this.remaining} bytes are left`);
    this.#elements -= length;
    if (this.#elements < 0) throw malformed(`more than ${MAX_ELEMENTS} array elements`);
    return length;
  }

  skip(length: number): void {
    this.#take(length);
  }

  #null(length: number): null {
    if (length !== -1) throw malformed(`a length of ${length}`);
    return null;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) throw malformed(`${length} bytes expected, ${this.#end - at} are left`);
    this.#at = at + length;
    return at;
  }
}
