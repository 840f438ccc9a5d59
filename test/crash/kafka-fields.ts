/** Kafka's non-flexible field types, written one behind the other or taken from the front. Throws RangeError when there is too little. */
export class Fields {
  readonly #parts: Buffer[] = [];
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#bytes = bytes;
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }

  int8(value: number): this {
    return this.#number(1, (bytes) => bytes.writeInt8(value));
  }

  int16(value: number): this {
    return this.#number(2, (bytes) => bytes.writeInt16BE(value));
  }

  int32(value: number): this {
    return this.#number(4, (bytes) => bytes.writeInt32BE(value));
  }

  int64(value: number): this {
    return this.#number(8, (bytes) => bytes.writeBigInt64BE(BigInt(value)));
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    this.int16(Buffer.byteLength(value));
    this.#parts.push(Buffer.from(value));
    return this;
  }

  bytes(value: Uint8Array): this {
    this.int32(value.length);
    this.#parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    return this;
  }

  takeInt16(): number {
    return this.#bytes.readInt16BE(this.#move(2));
  }

  takeInt32(): number {
    return this.#bytes.readInt32BE(this.#move(4));
  }

  takeInt64(): number {
    return Number(this.#bytes.readBigInt64BE(this.#move(8)));
  }

  takeString(): string | null {
    const length = this.takeInt16();
    if (length < 0) return null;
    return this.#bytes.toString('utf8', this.#move(length), this.#at);
  }

  /** No bytes for null. */
  takeBytes(): Buffer {
    const length = Math.max(0, this.takeInt32());
    return this.#bytes.subarray(this.#move(length), this.#at);
  }

  takeArray<T>(take: () => T): T[] {
    const items: T[] = [];
    for (let left = this.takeInt32(); left > 0; left--) items.push(take());
    return items;
  }

  #number(size: number, write: (bytes: Buffer) => void): this {
    const bytes = Buffer.alloc(size);
    write(bytes);
    this.#parts.push(bytes);
    return this;
  }

  #move(count: number): number {
    const at = this.#at;
    this.#at += count;
    return at;
  }
}
