import type { LogFile } from '../wal/log-reads.ts';
import { Extents } from './extents.ts';

interface Chunk {
  /** In the segment's file. */
  readonly position: number;
  readonly bytes: Buffer;
  used: number;
  /** Takes no more. */
  closed: boolean;
}

const SMALLEST = 512;
/** Up to here a chunk grows by itself: ten thousand quiet segments hold little, a thousand busy ones little that is unused. */
const USUAL = 16 * 1024;
/** Chunks of the usual size are used again, for memory that is new costs more than filling it: readers get copies, never the chunk. */
const pool: Buffer[] = [];
const POOLED = 2048;

/**
 * The committed bytes of a segment that are not in its file yet. Those that a start has found in the log stay in it, in front of those
 * that were appended since, which are in memory.
 */
export class Tail {
  readonly #chunks: Chunk[] = [];
  /** The part in the log. */
  #extents: Extents | undefined;
  #start: number;
  #end: number;
  #next = SMALLEST;
  /** How many of the oldest chunks {@link oldest} gave. */
  #given = 0;
  /** How many bytes {@link oldestInLog} gave. */
  #givenInLog = 0;
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

  /** Where the part begins that is in memory. */
  get memoryStart(): number {
    return this.#extents?.end ?? this.#start;
  }

  get isInLog(): boolean {
    return this.#extents !== undefined;
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

  /** Takes `length` bytes that lie at `place` of a file of the log, and stay there: before anything is appended. */
  refer(file: LogFile, place: number, length: number): void {
    if (this.#chunks.length > 0) throw new Error('what lies in the log comes before what is in memory');
    this.#extents ??= new Extents(this.#end);
    this.#extents.add(file, place, length);
    this.#end += length;
  }

  /** The oldest bytes of those that are in the log, as {@link oldest}; `undefined` when none are. */
  async oldestInLog(scratch: Buffer): Promise<{ readonly position: number; readonly bytes: Buffer } | undefined> {
    const extents = this.#extents;
    if (extents === undefined) return undefined;
    const position = this.#start;
    const length = Math.min(scratch.length, extents.end - position);
    await extents.read(scratch, 0, position, length);
    this.#givenInLog = length;
    return { position, bytes: scratch.subarray(0, length) };
  }

  /**
   * Copies [position, position + length), which lies in the part in the log, to `into`.
   * @returns false when it has left that part meanwhile: what was copied may be something else by now
   */
  async copyFromLog(into: Uint8Array, intoOffset: number, position: number, length: number): Promise<boolean> {
    try {
      await this.#extents?.read(into, intoOffset, position, length);
    } catch (error) {
      if (this.#start <= position) throw error;
    }
    return this.#start <= position;
  }

  /** Forgets what is in the log: nobody will ask for it, and its files will be written again. */
  dropInLog(): void {
    const extents = this.#extents;
    if (extents === undefined) return;
    this.#extents = undefined;
    this.#start = extents.end;
    extents.clear();
  }

  /**
   * The oldest bytes, to be written at `position`: gathered in `scratch` as far as it is enough, or where they are when that is one
   * piece. More that is appended goes elsewhere.
   */
  oldest(scratch: Buffer): { readonly position: number; readonly bytes: Buffer } | undefined {
    const first = this.#chunks[0];
    if (first === undefined) return undefined;
    let length = 0;
    this.#given = 0;
    for (const chunk of this.#chunks) {
      if (length + chunk.used > scratch.length) break;
      chunk.bytes.copy(scratch, length, 0, chunk.used);
      chunk.closed = true;
      length += chunk.used;
      this.#given++;
    }
    // the next chunk is as large as what came since the last time
    if (this.#given === this.#chunks.length) this.#next = Math.min(USUAL, ceilPower(length));
    if (this.#given > 0) return { position: first.position, bytes: scratch.subarray(0, length) };
    first.closed = true;
    this.#given = 1;
    return { position: first.position, bytes: first.bytes.subarray(0, first.used) };
  }

  /** What {@link oldest} or {@link oldestInLog} gave is in the file. */
  written(): void {
    if (this.#givenInLog > 0) {
      const extents = this.#extents;
      // it may have been dropped while it was written
      if (extents !== undefined) this.#start += this.#givenInLog;
      this.#givenInLog = 0;
      extents?.passed(this.#start);
      if (this.#start === extents?.end) this.#extents = undefined;
      return;
    }
    for (const chunk of this.#chunks.splice(0, this.#given)) {
      this.#start = chunk.position + chunk.used;
      this.held -= chunk.bytes.length;
      const isOwn = chunk.bytes.length === chunk.bytes.buffer.byteLength;
      if (isOwn && chunk.bytes.length === USUAL && pool.length < POOLED) pool.push(chunk.bytes);
    }
    this.#given = 0;
  }

  /** Copies [position, position + length), which lies in the tail, to `into`. */
  copy(into: Uint8Array, intoOffset: number, position: number, length: number): void {
    let at = position;
    let to = intoOffset;
    const end = position + length;
    for (let index = this.#chunkAt(position); at < end; index++) {
      const chunk = this.#chunks[index];
      if (chunk === undefined) break;
      const from = at - chunk.position;
      const count = Math.min(end - at, chunk.used - from);
      into.set(chunk.bytes.subarray(from, from + count), to);
      at += count;
      to += count;
    }
  }

  /** Which chunk holds the byte at `position`. */
  #chunkAt(position: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#chunks[middle]?.position ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #grow(bytes: number, position: number): Chunk {
    if (this.#chunks.length > 0) this.#next = Math.min(this.#next * 2, USUAL);
    const size = Math.max(bytes, this.#next);
    const memory = (size === USUAL ? pool.pop() : undefined) ?? Buffer.allocUnsafeSlow(size);
    const chunk: Chunk = { position, bytes: memory, used: 0, closed: false };
    this.#chunks.push(chunk);
    this.held += size;
    return chunk;
  }
}

function ceilPower(value: number): number {
  return Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(Math.max(1, value))));
}
