import { crc32 } from 'node:zlib';

/**
 * What the load writes: each value says whose it is, and proves that it is whole.
 *
 *     "RMQ1 " | writer | " " | sequence | " " | CRC-32 of everything else, 8 hex digits | "\n" | filler
 *
 * The filler follows from writer and sequence, so a value is known without being kept.
 */
export interface Payload {
  readonly writer: string;
  readonly sequence: number;
}

const MAX_FILLER_BYTES = 600;

export function encodePayload(writer: string, sequence: number): Buffer {
  const filler = fillerOf(writer, sequence);
  const head = Buffer.from(`RMQ1 ${writer} ${sequence} `);
  const crc = crc32(filler, crc32(head)).toString(16).padStart(8, '0');
  return Buffer.concat([head, Buffer.from(`${crc}\n`), filler]);
}

/** Undefined when the bytes are not, or no longer, what a writer wrote. */
export function decodePayload(bytes: Uint8Array): Payload | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lineEnd = buffer.indexOf('\n');
  const [magic, writer, number, crc] = buffer.toString('latin1', 0, Math.max(0, lineEnd)).split(' ');
  if (magic !== 'RMQ1' || writer === undefined || number === undefined || crc === undefined) return undefined;
  const head = Buffer.from(`RMQ1 ${writer} ${number} `);
  const actual = crc32(buffer.subarray(lineEnd + 1), crc32(head))
    .toString(16)
    .padStart(8, '0');
  if (actual !== crc) return undefined;
  return { writer, sequence: Number(number) };
}

function fillerOf(writer: string, sequence: number): Buffer {
  let state = crc32(`${writer}/${sequence}`);
  const filler = Buffer.alloc(state % MAX_FILLER_BYTES);
  for (let at = 0; at < filler.length; at++) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    filler[at] = state;
  }
  return filler;
}
