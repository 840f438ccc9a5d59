/** The body of every entry but an append's: nonce u32, length of the id u32, the id; core's state behind it in a create. */
export interface SegmentBody {
  readonly nonce: number;
  readonly id: string;
  readonly state: Buffer;
}

export function encodeBody(nonce: number, id: string, state: Uint8Array = NOTHING): Buffer {
  const name = Buffer.from(id);
  const bytes = Buffer.allocUnsafe(8 + name.length + state.length);
  bytes.writeUInt32LE(nonce, 0);
  bytes.writeUInt32LE(name.length, 4);
  bytes.set(name, 8);
  bytes.set(state, 8 + name.length);
  return bytes;
}

export function decodeBody(bytes: Buffer): SegmentBody {
  const end = 8 + bytes.readUInt32LE(4);
  return { nonce: bytes.readUInt32LE(0), id: bytes.toString('utf8', 8, end), state: Buffer.from(bytes.subarray(end)) };
}

const NOTHING = new Uint8Array(0);
