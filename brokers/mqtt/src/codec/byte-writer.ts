/** Grows as it is written to. For packets whose size is not known beforehand; PUBLISH and PUBACK write into buffers of their exact size. */
export class ByteWriter {
  #bytes: Buffer;
  #at = 0;

  constructor(size = 64) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  get length(): number {
    return this.#at;
  }

  u8(value: number): this {
    this.#room(1);
    this.#at = this.#bytes.writeUInt8(value, this.#at);
    return this;
  }

  u16(value: number): this {
    this.#room(2);
    this.#at = this.#bytes.writeUInt16BE(value, this.#at);
    return this;
  }

  u32(value: number): this {
    this.#room(4);
    this.#at = this.#bytes.writeUInt32BE(value, this.#at);
    return this;
  }

  varint(value: number): this {
    this.#room(4);
    this.#at = writeVarint(this.#bytes, this.#at, value);
    return this;
  }

  binary(bytes: Uint8Array): this {
    return this.u16(bytes.length).raw(bytes);
  }

  string(text: string): this {
    const length = Buffer.byteLength(text);
    this.u16(length).#room(length);
    this.#at += this.#bytes.write(text, this.#at);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

export function sizeOfVarint(value: number): number {
  if (value < 128) return 1;
  if (value < 16_384) return 2;
  return value < 2_097_152 ? 3 : 4;
}

export function writeVarint(into: Uint8Array, at: number, value: number): number {
  let rest = value;
  let to = at;
  while (rest >= 128) {
    into[to++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[to++] = rest;
  return to;
}

/** A whole packet: first byte, remaining length, body. */
export function frame(firstByte: number, body: Uint8Array): Buffer {
  const packet = Buffer.allocUnsafe(1 + sizeOfVarint(body.length) + body.length);
  packet[0] = firstByte;
  packet.set(body, writeVarint(packet, 1, body.length));
  return packet;
}
