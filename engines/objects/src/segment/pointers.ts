import { crc32c } from '@node-rs/crc32';
import { forEachBatch, nextOffset, readHeader, type SegmentRead, StorageError } from '@robustmq/core';
import type { PointerRow } from '../meta/rows.ts';

/** Reads a range of an object by its name, whatever lies between. */
export type ReadObject = (
  object: { readonly name: string; readonly bytes: number; readonly from: number | undefined },
  at: number,
  bytes: number,
) => Promise<Uint8Array>;

/** Of a run that is looked through. */
const CHUNK_BYTES = 1024 * 1024;
/** Between two places of a run that are remembered. */
const MARK_BYTES = 64 * 1024;
const HEADER_BYTES = 61;

interface Mark {
  readonly offset: number;
  readonly at: number;
}

/** The batches of a segment that lie as runs in write-ahead objects, in order. */
export class PointerLog {
  readonly #id: string;
  readonly #base: number;
  readonly #read: ReadObject;
  readonly #pointers: PointerRow[];
  /** Runs that have been looked through and found whole. */
  readonly #marks = new WeakMap<PointerRow, Promise<readonly Mark[]>>();

  constructor(id: string, base: number, pointers: readonly PointerRow[], read: ReadObject) {
    this.#id = id;
    this.#base = base;
    this.#read = read;
    this.#pointers = [...pointers];
  }

  get pointers(): readonly PointerRow[] {
    return this.#pointers;
  }

  get end(): number {
    return this.#pointers.at(-1)?.next ?? this.#base;
  }

  get bytes(): number {
    return this.#pointers.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  add(pointer: PointerRow): void {
    this.#pointers.push(pointer);
  }

  async read(from: number, maxBytes: number): Promise<SegmentRead> {
    const pointer = this.#pointers[this.#indexOf(from)];
    if (pointer === undefined) return { bytes: new Uint8Array(0), next: this.end };
    const marks = await this.#look(pointer);
    return await this.#readRun(pointer, lastAtOrBelow(marks, from), from, maxBytes);
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    for (const pointer of this.#pointers) {
      if (pointer.maxTs < timestamp) continue;
      for (let at = pointer.base; at < pointer.next; ) {
        const { bytes, next } = await this.read(at, CHUNK_BYTES);
        let found: number | undefined;
        forEachBatch(bytes, (header) => {
          if (found === undefined && header.maxTimestamp >= timestamp) found = header.baseOffset;
        });
        if (found !== undefined) return found;
        at = next;
      }
    }
    return undefined;
  }

  /** All batches in order, in chunks that stay as they are. */
  async *batches(): AsyncGenerator<Uint8Array> {
    for (let at = this.#base; at < this.end; ) {
      const { bytes, next } = await this.read(at, CHUNK_BYTES);
      yield bytes;
      at = next;
    }
  }

  #indexOf(from: number): number {
    let low = 0;
    let high = this.#pointers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#pointers[middle]?.next ?? 0) <= from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async #readRun(pointer: PointerRow, mark: Mark, from: number, maxBytes: number): Promise<SegmentRead> {
    const until = pointer.at + pointer.bytes;
    let at = mark.at;
    for (;;) {
      const chunk = await this.#range(pointer, at, Math.min(until - at, Math.max(maxBytes, MARK_BYTES) + MARK_BYTES));
      const found = within(chunk, from, maxBytes);
      if (found.whole !== undefined) return found.whole;
      at += found.passed;
      if (found.needed > 0) {
        // the batch that was asked for is larger than what was fetched
        const bytes = await this.#range(pointer, at, found.needed);
        return { bytes, next: nextOffset(readHeader(bytes, 0)) };
      }
      if (found.passed === 0 || at >= until) throw this.#damaged(pointer, `no batch holds offset ${from}`);
    }
  }

  /** Checks a run against its pointer once, and remembers where some of its batches lie. */
  #look(pointer: PointerRow): Promise<readonly Mark[]> {
    const known = this.#marks.get(pointer);
    if (known !== undefined) return known;
    const looking = this.#lookThrough(pointer);
    this.#marks.set(pointer, looking);
    looking.catch(() => this.#marks.delete(pointer));
    return looking;
  }

  async #lookThrough(pointer: PointerRow): Promise<readonly Mark[]> {
    const marks: Mark[] = [{ offset: pointer.base, at: pointer.at }];
    const until = pointer.at + pointer.bytes;
    let crc = 0;
    for (let at = pointer.at; at < until; ) {
      const bytes = await this.#range(pointer, at, Math.min(CHUNK_BYTES, until - at));
      crc = crc32c(bytes, crc) >>> 0;
      at += bytes.length;
    }
    if (crc !== pointer.crc) throw this.#damaged(pointer, `CRC32C is ${crc}, Meta says ${pointer.crc}`);
    // what it holds is what was written: from here on headers can be believed
    for (let at = pointer.at; at < until; ) {
      const bytes = await this.#range(pointer, at, Math.min(CHUNK_BYTES, until - at));
      let passed = 0;
      while (bytes.length - passed >= HEADER_BYTES) {
        const header = readHeader(bytes, passed);
        const last = marks.at(-1)?.at ?? 0;
        if (at + passed - last >= MARK_BYTES) marks.push({ offset: header.baseOffset, at: at + passed });
        passed += header.bytes;
      }
      if (passed === 0) throw this.#damaged(pointer, 'it ends in the middle of a batch');
      at += passed;
    }
    return marks;
  }

  async #range(pointer: PointerRow, at: number, bytes: number): Promise<Uint8Array> {
    return await this.#read({ name: pointer.object, bytes: pointer.objectBytes, from: pointer.from }, at, bytes);
  }

  #damaged(pointer: PointerRow, what: string): StorageError {
    return new StorageError(
      'CORRUPT',
      `The run at byte ${pointer.at} of object ${pointer.object} is damaged: ${what}`,
      {
        where: this.#id,
        hint: 'Somebody else has changed the object: restore it from a copy',
      },
    );
  }
}

function lastAtOrBelow(marks: readonly Mark[], offset: number): Mark {
  let found = marks[0] ?? { offset, at: 0 };
  for (const mark of marks) {
    if (mark.offset > offset) break;
    found = mark;
  }
  return found;
}

/** Whole batches of `chunk` from the one that holds `from`; else how many bytes lie in front of it, and how many it has. */
function within(
  chunk: Uint8Array,
  from: number,
  maxBytes: number,
): { readonly whole: SegmentRead | undefined; readonly passed: number; readonly needed: number } {
  let start = -1;
  let end = 0;
  let next = from;
  let at = 0;
  while (chunk.length - at >= HEADER_BYTES) {
    const header = readHeader(chunk, at);
    const isWanted = nextOffset(header) > from;
    if (at + header.bytes > chunk.length) {
      // one that is not asked for may reach far behind the chunk
      if (start === -1)
        return { whole: undefined, passed: isWanted ? at : at + header.bytes, needed: isWanted ? header.bytes : 0 };
      break;
    }
    if (isWanted) {
      if (start === -1) start = at;
      else if (at + header.bytes - start > maxBytes) break;
      end = at + header.bytes;
      next = nextOffset(header);
    }
    at += header.bytes;
  }
  if (start === -1) return { whole: undefined, passed: at, needed: 0 };
  return { whole: { bytes: chunk.subarray(start, end), next }, passed: 0, needed: 0 };
}
