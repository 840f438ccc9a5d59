interface Chunk {
  /** In the segment's file. */
  readonly position: number;
  readonly bytes: Buffer;
  used: number;
  /** Takes no more. */
  closed: boolean;
}

const SMALLEST = 1024;
/** Up to here a chunk grows by itself; beyond only while the disk is behind. */
const USUAL = 64 * 1024;
const LARGEST = 1024 * 1024;
/** Large chunks are used again, for memory that is new costs more than filling it: readers get copies, never the chunk. */
const POOLS: ReadonlyMap<number, { readonly chunks: Buffer[]; readonly limit: number }> = new Map([
  [USUAL, { chunks: [], limit: 512 }],
  [LARGEST, { chunks: [], limit: 16 }],
]);

/** The committed bytes of a segment that are not in its file yet. */
export class Tail {
  #chunks: Chunk[] = [];
  #start: number;
  #end: number;
  #next = SMALLEST;
  /** Memory that is held, used or not. */
  held = 0;

  /** Empty, at the end of a file of `position` bytes. */
  constructor(position: number) {
    this.#start = position;
    this.#end = position;
  }

  /** Where in the file the tail begins. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  get bytes(): number {
    return this.#end - this.#start;
  }

  append(bytes: Uint8Array): void {
    const last = this.#chunks[this.#chunks.length - 1];
    const room = last === undefined || last.closed ? 0 : Math.min(last.bytes.length - last.used, bytes.length);
    if (last !== undefined && room > 0) {
      last.bytes.set(room === bytes.length ? bytes : bytes.subarray(0, room), last.used);
      last.used += room;
    }
    if (room < bytes.length) {
      const rest = room === 0 ? bytes : bytes.subarray(room);
      const chunk = this.#grow(rest.length, this.#end + room);
      chunk.bytes.set(rest, 0);
      chunk.used = rest.length;
    }
    this.#end += bytes.length;
  }

  /** The oldest bytes, to be written at `position`; more that is appended goes elsewhere. */
  oldest(): { readonly position: number; readonly bytes: Buffer } | undefined {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return undefined;
    if (!chunk.closed && this.#chunks.length === 1)
      this.#next = Math.max(SMALLEST, Math.min(this.#next, pooledSize(chunk.used * 2)));
    chunk.closed = true;
    return { position: chunk.position, bytes: chunk.bytes.subarray(0, chunk.used) };
  }

  /** What {@link oldest} gave is in the file. */
  written(): void {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return;
    this.#start = chunk.position + chunk.used;
    this.held -= chunk.bytes.length;
    const pool = POOLS.get(chunk.bytes.length);
    if (pool !== undefined && pool.chunks.length < pool.limit) pool.chunks.push(chunk.bytes);
  }

  /** Copies [position, position + length), which lies in the tail, to `into`. */
  copy(into: Uint8Array, intoOffset: number, position: number, length: number): void {
    let at = position;
    let to = intoOffset;
    const end = position + length;
    for (const chunk of this.#chunks) {
      if (chunk.position + chunk.used <= at) continue;
      if (chunk.position >= end) break;
      const from = at - chunk.position;
      const count = Math.min(end - at, chunk.used - from);
      into.set(chunk.bytes.subarray(from, from + count), to);
      at += count;
      to += count;
    }
  }

  #grow(bytes: number, position: number): Chunk {
    // nothing between the two: it would be in no pool
    if (this.#chunks.length > 0)
      this.#next = this.#next < USUAL ? this.#next * 2 : this.bytes >= USUAL ? LARGEST : USUAL;
    const size = Math.max(bytes, this.#next);
    const memory = POOLS.get(size)?.chunks.pop() ?? Buffer.allocUnsafeSlow(size);
    const chunk: Chunk = { position, bytes: memory, used: 0, closed: false };
    this.#chunks.push(chunk);
    this.held += size;
    return chunk;
  }
}

function pooledSize(bytes: number): number {
  const size = 2 ** Math.ceil(Math.log2(Math.max(1, bytes)));
  return size <= USUAL || size >= LARGEST ? size : USUAL;
}
