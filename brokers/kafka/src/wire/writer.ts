import { writeUuid } from './uuid.ts';

const FIRST_BYTES = 256;

/**
 * Writes the primitive types of the protocol into buffers of its own, and takes stored batches in between as they are: the
 * result is a list of buffers for one vectored write, and no payload is ever copied.
 */
export class Writer {
  readonly #parts: Uint8Array[] = [];
  #buffer: Buffer = Buffer.allocUnsafe(FIRST_BYTES);
  /** Where the part that is being written begins in `#buffer`. */
  #from = 0;
  #at = 0;
  #doneBytes = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#doneBytes + this.#at - this.#from;
  }

  /** Everything written, in order. The writer is not used again. */
  finish(): readonly Uint8Array[] {
    this.#cut();
    return this.#parts;
  }

  int8(value: number): void {
    this.#room(1);
    this.#at = this.#buffer.writeInt8(value, this.#at);
  }

  bool(value: boolean): void {
    this.int8(value ? 1 : 0);
  }

  int16(value: number): void {
    this.#room(2);
    this.#at = this.#buffer.writeInt16BE(value, this.#at);
  }

  int32(value: number): void {
    this.#room(4);
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
  }

  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no safe integer`);
    this.#room(8);
    this.#at = this.#buffer.writeInt32BE(Math.floor(value / 2 ** 32), this.#at);
    this.#at = this.#buffer.writeUInt32BE(value >>> 0, this.#at);
  }

  uvarint(value: number): void {
    this.#room(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#at = this.#buffer.writeUInt8((rest & 0x7f) | 0x80, this.#at);
      rest = Math.floor(rest / 128);
    }
    this.#at = this.#buffer.writeUInt8(rest, this.#at);
  }

  uuid(value: string): void {
    this.#room(16);
    writeUuid(this.#buffer, this.#at, value);
    this.#at += 16;
  }

  string(value: string | null, compact: boolean): void {
    const length = value === null ? -1 : Buffer.byteLength(value);
    if (compact) this.uvarint(length + 1);
    else this.int16(length);
    if (value === null) return;
    this.#room(length);
    this.#at += this.#buffer.write(value, this.#at, length, 'utf8');
  }

  bytes(value: Uint8Array | null, compact: boolean): void {
    this.#length(value === null ? -1 : value.length, compact);
    if (value === null) return;
    this.#room(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  /** The chunks become parts of the output themselves. */
  records(chunks: readonly Uint8Array[] | null, compact: boolean): void {
    let length = chunks === null ? -1 : 0;
    for (const chunk of chunks ?? []) length += chunk.length;
    this.#length(length, compact);
    if (length <= 0) return;
    this.#cut();
    for (const chunk of chunks ?? []) this.#parts.push(chunk);
    this.#doneBytes += length;
  }

  /** What another writer has written, behind its length: a tagged field. */
  sized(inner: Writer): void {
    this.uvarint(inner.length);
    for (const part of inner.finish()) {
      this.#room(part.length);
      this.#buffer.set(part, this.#at);
      this.#at += part.length;
    }
  }

  arrayLength(length: number, compact: boolean): void {
    this.#length(length, compact);
  }

  #length(length: number, compact: boolean): void {
    if (compact) this.uvarint(length + 1);
    else this.int32(length);
  }

  /** Makes the part written so far final. */
  #cut(): void {
    if (this.#at === this.#from) return;
    this.#parts.push(this.#buffer.subarray(this.#from, this.#at));
    this.#doneBytes += this.#at - this.#from;
    this.#from = this.#at;
  }

  #room(bytes: number): void {
    if (this.#buffer.length - this.#at >= bytes) return;
    const kept = this.#at - this.#from;
    const larger = Buffer.allocUnsafe(Math.max(FIRST_BYTES, 2 * (kept + bytes)));
    this.#buffer.copy(larger, 0, this.#from, this.#at);
    this.#buffer = larger;
    this.#from = 0;
    this.#at = kept;
  }
}
