/**
 * Zigzag varints as in a record: the sign in the lowest bit, seven bits a byte, lowest first. Lengths and offset deltas are 32-bit,
 * timestamp deltas 64-bit.
 */

/** Reads on, byte by byte, and says `bad` instead of reading past `end`. */
export class VarintReader {
  at: number;
  readonly bytes: Uint8Array;
  readonly end: number;
  readonly #bad: (what: string) => Error;

  constructor(bytes: Uint8Array, at: number, end: number, bad: (what: string) => Error) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.#bad = bad;
  }

  /** In [-2^31, 2^31). */
  int32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte();
      if (shift === 28 && byte > 0x0f) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw this.#bad('a number of more than 32 bits');
  }

  /** Exact between the safe integers, rounded outside of them. */
  int64(): number {
    const start = this.at;
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
    }
    // a delta of more than a day: rare enough for BigInt
    let value = BigInt(low);
    for (let shift = 28n; this.at - start < 10; shift += 7n) {
      const byte = this.#byte();
      if (this.at - start === 10 && byte > 1) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number((value >> 1n) ^ -(value & 1n));
    }
    throw this.#bad('a number of more than 64 bits');
  }

  #byte(): number {
    if (this.at >= this.end) throw this.#bad('cut off in a number');
    return this.bytes[this.at++] as number; // in bounds by the line above
  }
}

export function sizeOfInt32(value: number): number {
  const bits = 32 - Math.clz32((value << 1) ^ (value >> 31));
  return bits === 0 ? 1 : Math.ceil(bits / 7);
}

/** @returns where to go on. */
export function writeInt32(bytes: Uint8Array, at: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  let next = at;
  for (; rest >= 0x80; rest >>>= 7) bytes[next++] = (rest & 0x7f) | 0x80;
  bytes[next++] = rest;
  return next;
}

export function sizeOfInt64(value: number): number {
  if (fitsInt31(value)) return sizeOfInt32(value);
  return Math.ceil(zigzag(value).toString(2).length / 7);
}

export function writeInt64(bytes: Uint8Array, at: number, value: number): number {
  if (fitsInt31(value)) return writeInt32(bytes, at, value);
  let next = at;
  let rest = zigzag(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes[next++] = Number(rest & 0x7fn) | 0x80;
  bytes[next++] = Number(rest);
  return next;
}

function fitsInt31(value: number): boolean {
  return value >= -0x40000000 && value < 0x40000000;
}

function zigzag(value: number): bigint {
  const big = BigInt(value);
  return (big << 1n) ^ (big >> 63n);
}
