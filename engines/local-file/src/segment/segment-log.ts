import { type SegmentId, type SegmentRead, type StorageCode, StorageError } from '@robustmq/core';
import type { FileCache } from '../file-cache.ts';
import type { LogFile } from '../wal/log-reads.ts';
import { baseOffsetAt, batchBytesAt, maxTimestampAt, nextOffsetAt } from './batch-fields.ts';
import type { SegmentPaths } from './segment-files.ts';
import { decodeIndex, INDEX_ENTRY_BYTES, SparseIndex } from './sparse-index.ts';
import { Tail } from './tail.ts';

const HEADER_BYTES = 61;
/** How much is read at once to step from header to header. */
const SCAN_BYTES = 64 * 1024;
const HINTS = 4;
/** Until somebody reads: most segments of many are never read while they are open. */
const NO_HINTS: number[] = [];

export interface LogFacts {
  readonly base: number;
  readonly end: number;
  readonly bytes: number;
  readonly index: SparseIndex;
}

/** The committed batches of one segment, in its file, in the log and in memory, and how to find one among them. */
export class SegmentLog {
  readonly id: SegmentId;
  readonly base: number;
  readonly path: string;
  readonly tail: Tail;
  index: SparseIndex;
  /** How many entries of the index are in its file. */
  indexSaved: number;
  /** One past the last committed offset, and the bytes of all batches in front of it. */
  end: number;
  bytes: number;
  /** Set when the segment was deleted: what is missing then was removed on purpose. */
  deleted = false;
  readonly #paths: SegmentPaths;
  readonly #cache: FileCache;
  #loading: Promise<void> | undefined;
  /** Where the last reads ended: most readers go on from there. */
  #hintOffsets: number[] = NO_HINTS;
  #hintPositions: number[] = NO_HINTS;
  #hint = 0;

  constructor(id: SegmentId, paths: SegmentPaths, cache: FileCache, facts: LogFacts) {
    this.id = id;
    this.base = facts.base;
    this.end = facts.end;
    this.bytes = facts.bytes;
    this.index = facts.index;
    this.indexSaved = facts.index.count;
    this.tail = new Tail(facts.bytes);
    this.path = paths.of(id, 'log');
    this.#paths = paths;
    this.#cache = cache;
  }

  /** As {@link commit}, batches that lie one behind the other at `place` of a file of the log, and stay there. */
  adopt(bytes: Buffer, file: LogFile, place: number): void {
    let at = 0;
    while (at < bytes.length) {
      this.index.add(baseOffsetAt(bytes, at), this.bytes + at, maxTimestampAt(bytes, at));
      this.end = nextOffsetAt(bytes, at);
      at += batchBytesAt(bytes, at);
    }
    this.tail.refer(file, place, bytes.length);
    this.bytes += bytes.length;
  }

  /** Takes batches that have been committed, up to offset `next`. */
  commit(batches: readonly Uint8Array[], next: number): void {
    for (const batch of batches) {
      this.index.add(baseOffsetAt(batch, 0), this.bytes, maxTimestampAt(batch, 0));
      this.tail.append(batch);
      this.bytes += batch.length;
    }
    this.end = next;
  }

  async read(from: number, maxBytes: number): Promise<SegmentRead> {
    const bytes = this.bytes;
    const end = this.end;
    if (from >= end) return { bytes: NOTHING, next: end };
    const position = await this.#positionOf(from, bytes);
    if (position === undefined) return { bytes: NOTHING, next: end };
    let read = await this.#readAt(position, Math.min(Math.max(maxBytes, HEADER_BYTES), bytes - position));
    let whole = this.#wholeBatches(read, position, bytes);
    if (whole.length === 0) {
      // larger than was asked for: one batch is always given
      read = await this.#readAt(position, whole.needs);
      whole = this.#wholeBatches(read, position, bytes);
    }
    const next = nextOffsetAt(read, whole.last);
    this.#remember(next, position + whole.length);
    return { bytes: read.subarray(0, whole.length), next };
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    if (timestamp > this.index.maxTimestamp || this.bytes === 0) return undefined;
    const bytes = this.bytes;
    await this.loadIndex();
    let found: number | undefined;
    await this.#scan(this.index.positionOfTimestamp(timestamp), bytes, (read, at) => {
      if (maxTimestampAt(read, at) < timestamp) return true;
      found = baseOffsetAt(read, at);
      return false;
    });
    return found;
  }

  /** Reads the index from its file; makes it again from the log when it is not whole. */
  loadIndex(): Promise<void> {
    if (this.index.unloaded === 0) return DONE;
    this.#loading ??= this.#loadIndex().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadIndex(): Promise<void> {
    const { unloaded, unloadedPosition } = this.index;
    const entries = await this.#readIndex(unloaded);
    if (entries !== undefined) return this.index.loaded(entries);
    const fresh = new SparseIndex(this.index.interval);
    await this.#scan(0, unloadedPosition + 1, (read, at, position) => {
      fresh.add(baseOffsetAt(read, at), position, maxTimestampAt(read, at));
      return true;
    });
    this.index.loaded(fresh.entries);
    this.indexSaved = 0;
  }

  async #readIndex(count: number): Promise<number[] | undefined> {
    try {
      return await this.#cache.with(this.#paths.of(this.id, 'index'), false, async (file) => {
        const bytes = Buffer.allocUnsafe((count + 1) * INDEX_ENTRY_BYTES);
        const length = await file.read(bytes, 0, bytes.length, 0);
        return decodeIndex(bytes.subarray(0, length), this.base, count);
      });
    } catch {
      // unreadable is as good as missing: the log has it all
      return undefined;
    }
  }

  /** Of the batch that holds `offset`, or of the first behind it; `undefined` when there is none. */
  async #positionOf(offset: number, bytes: number): Promise<number | undefined> {
    for (let at = 0; at < this.#hintOffsets.length; at++)
      if (this.#hintOffsets[at] === offset) {
        const position = this.#hintPositions[at] ?? 0;
        // a hole that reaches the end
        return position < bytes ? position : undefined;
      }
    if (offset === this.base) return bytes === 0 ? undefined : 0;
    await this.loadIndex();
    let found: number | undefined;
    await this.#scan(this.index.positionOf(offset), bytes, (read, at, position) => {
      if (nextOffsetAt(read, at) <= offset) return true;
      found = position;
      return false;
    });
    return found;
  }

  #remember(offset: number, position: number): void {
    if (this.#hintOffsets === NO_HINTS) {
      this.#hintOffsets = [];
      this.#hintPositions = [];
    }
    this.#hintOffsets[this.#hint] = offset;
    this.#hintPositions[this.#hint] = position;
    this.#hint = (this.#hint + 1) % HINTS;
  }

  /** Calls `visit` with each header from `from` on, until it says false or `to` is reached. */
  async #scan(
    from: number,
    to: number,
    visit: (read: Uint8Array, at: number, position: number) => boolean,
  ): Promise<void> {
    let position = from;
    while (position < to) {
      const read = await this.#readAt(position, Math.min(SCAN_BYTES, this.bytes - position));
      let at = 0;
      while (at + HEADER_BYTES <= read.length && position + at < to) {
        const size = batchBytesAt(read, at);
        if (size < HEADER_BYTES || position + at + size > this.bytes) throw this.#damaged(position + at);
        if (!visit(read, at, position + at)) return;
        at += size;
      }
      if (at === 0) throw this.#damaged(position);
      position += at;
    }
  }

  #wholeBatches(
    read: Uint8Array,
    position: number,
    bytes: number,
  ): { readonly length: number; readonly last: number; readonly needs: number } {
    let length = 0;
    let last = 0;
    while (length + HEADER_BYTES <= read.length) {
      const size = batchBytesAt(read, length);
      if (size < HEADER_BYTES || position + length + size > bytes) throw this.#damaged(position + length);
      if (length + size > read.length) return { length, last, needs: size };
      last = length;
      length += size;
    }
    if (length === 0) throw this.#damaged(position);
    return { length, last, needs: 0 };
  }

  /** A copy of [position, position + length): the part in memory is taken at once, the others when they come. */
  async #readAt(position: number, length: number): Promise<Buffer> {
    const into = Buffer.allocUnsafeSlow(length);
    const { tail } = this;
    const outside = Math.max(0, Math.min(length, tail.memoryStart - position));
    if (outside < length) tail.copy(into, outside, position + outside, length - outside);
    // each turn more of it is in the file, until all is
    for (let read = false; !read && outside > 0; ) {
      const inFile = Math.max(0, Math.min(outside, tail.start - position));
      read = inFile === outside || (await tail.copyFromLog(into, inFile, position + inFile, outside - inFile));
      if (read && inFile > 0) await this.#readFile(into, inFile, position);
    }
    return into;
  }

  async #readFile(into: Buffer, length: number, position: number): Promise<void> {
    try {
      const count = await this.#cache.with(this.path, false, (file) => file.read(into, 0, length, position));
      if (count === length) return;
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOENT') throw error;
      if (!this.deleted) throw this.#error('SEGMENT_LOST', 'The file of the segment is gone');
    }
    if (this.deleted) throw this.#error('SEGMENT_UNKNOWN', 'The segment was deleted');
    throw this.#error('CORRUPT', `The file of the segment ends before byte ${position + length}`);
  }

  #damaged(position: number): StorageError {
    return this.#error('CORRUPT', `No batch begins at byte ${position}, where one must`);
  }

  #error(code: StorageCode, message: string): StorageError {
    return new StorageError(code, message, { where: `segment ${this.id}, ${this.path}` });
  }
}

const NOTHING = new Uint8Array(0);
const DONE = Promise.resolve();
