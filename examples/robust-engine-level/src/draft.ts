import { crc32 } from 'node:zlib';
import { forEachBatch, headerDigest, type IngestOptions, nextOffset, StorageError } from '@robustmq/core';
import {
  batchKey,
  doomedKey,
  encodeRow,
  MEDIUM_KEY,
  type MediumRow,
  type SegmentRow,
  segmentKey,
  shareOf,
  stateKey,
  timeKey,
} from './rows.ts';

export type Change =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Buffer };

/** A copy on its way in. */
export type Copy = Pick<SegmentRow, 'key' | 'last' | 'bytes' | 'crc' | 'maxTime'>;

/**
 * The next commit: what was there, and what each work of a group has made of it, one after the other. A work that is refused throws before
 * it changes anything. Nothing here counts until the commit has been synced.
 */
export class Draft {
  readonly changes: Change[] = [];
  /** `undefined`: deleted. */
  readonly touched: Map<string, SegmentRow | undefined> = new Map();
  readonly #before: ReadonlyMap<string, SegmentRow>;
  #medium: MediumRow;

  constructor(medium: MediumRow, before: ReadonlyMap<string, SegmentRow>) {
    this.#medium = medium;
    this.#before = before;
  }

  get(id: string): SegmentRow | undefined {
    return this.touched.has(id) ? this.touched.get(id) : this.#before.get(id);
  }

  /** The file has every segment there ever was, so what is not in it never was here, or was deleted. */
  find(id: string): SegmentRow {
    return this.get(id) ?? unknown(id);
  }

  create(id: string, options: { readonly base: number; readonly epoch: number; readonly state: Uint8Array }): void {
    if (this.get(id) !== undefined) throw exists(id);
    const { base, epoch, state } = options;
    const key = this.newKey();
    const row = { id, key, base, end: base, last: base, epoch, sealed: false, bytes: 0, crc: 0 };
    this.#put(stateKey(key), state);
    this.touched.set(id, { ...row, stateCrc: crc32(state) });
  }

  append(id: string, key: number, batches: readonly Uint8Array[], base: number): void {
    const row = this.get(id);
    if (row?.key !== key) throw fenced(id, 'the segment has been deleted');
    if (row.sealed) throw fenced(id, `epoch ${row.epoch} has sealed the segment`);
    if (base !== row.end) throw new StorageError('OFFSET_MISMATCH', `${row.end} is next`, { where: id });
    let copy: Copy = row;
    for (const chunk of batches) copy = this.part(copy, chunk);
    this.touched.set(id, { ...row, ...copy, end: copy.last });
  }

  /** Batches below a key; they belong to nothing that can be seen until a segment with this key does. */
  part(copy: Copy, chunk: Uint8Array): Copy {
    const { key } = copy;
    let { last, bytes, crc, maxTime } = copy;
    forEachBatch(chunk, (header, at) => {
      const { maxTimestamp: time } = header;
      const next = nextOffset(header);
      const whole = at === 0 && header.bytes === chunk.length;
      this.#put(batchKey(key, next, last, chunk, at), whole ? chunk : chunk.subarray(at, at + header.bytes));
      if (maxTime === undefined || time > maxTime) {
        const row = timeKey(key, time);
        const before = maxTime === undefined ? {} : { before: maxTime };
        this.#put(row, encodeRow(row, { base: header.baseOffset, ...before }));
        maxTime = time;
      }
      last = next;
      bytes += header.bytes;
      crc = headerDigest(crc, chunk, at);
    });
    return { key, last, bytes, crc, ...(maxTime === undefined ? {} : { maxTime }) };
  }

  /** Before the first batch of a copy: if nobody publishes it, it goes at the next start. */
  beginCopy(base: number): Copy {
    const key = this.newKey();
    this.#put(doomedKey(key), new Uint8Array(0));
    return { key, last: base, bytes: 0, crc: 0 };
  }

  publish(id: string, options: IngestOptions, copy: Copy): void {
    if (this.get(id) !== undefined) throw exists(id);
    const { base, end, epoch, state, uid } = options;
    this.#put(stateKey(copy.key), state);
    this.changes.push({ type: 'del', key: doomedKey(copy.key) });
    this.touched.set(id, { ...copy, id, base, end, epoch, uid, sealed: true, stateCrc: crc32(state) });
  }

  seal(id: string, key: number): SegmentRow {
    const row = this.get(id);
    if (row?.key !== key) throw fenced(id, 'the segment has been deleted');
    if (row.sealed) throw fenced(id, `epoch ${row.epoch} has sealed the segment`);
    const sealed = { ...row, sealed: true };
    this.touched.set(id, sealed);
    return sealed;
  }

  /** What lies before this in the queue counts; nothing comes after. */
  recover(id: string, epoch: number): SegmentRow {
    const row = this.find(id);
    if (epoch < row.epoch) throw fenced(id, `epoch ${row.epoch} has the segment`);
    const recovered = { ...row, epoch, sealed: true };
    if (!row.sealed || epoch > row.epoch) this.touched.set(id, recovered);
    return recovered;
  }

  delete(id: string): SegmentRow | undefined {
    const row = this.get(id);
    if (row === undefined) return undefined;
    this.#put(doomedKey(row.key), new Uint8Array(0));
    this.changes.push({ type: 'del', key: stateKey(row.key) });
    this.touched.set(id, undefined);
    return row;
  }

  /** The rows of segments and medium, once for the whole group. */
  finish(): MediumRow {
    let { digest } = this.#medium;
    for (const [id, row] of this.touched) {
      const key = segmentKey(id);
      const before = this.#before.get(id);
      if (before !== undefined) digest ^= shareOf(encodeRow(key, before));
      if (row === undefined) this.changes.push({ type: 'del', key });
      else {
        const value = encodeRow(key, row);
        digest ^= shareOf(value);
        this.#put(key, value);
      }
    }
    this.#medium = { ...this.#medium, commits: this.#medium.commits + 1, digest: digest >>> 0 };
    this.#put(MEDIUM_KEY, encodeRow(MEDIUM_KEY, this.#medium));
    return this.#medium;
  }

  newKey(): number {
    const { nextKey } = this.#medium;
    this.#medium = { ...this.#medium, nextKey: nextKey + 1 };
    return nextKey;
  }

  #put(key: Buffer, value: Uint8Array): void {
    this.changes.push({ type: 'put', key, value });
  }
}

export function exists(id: string): StorageError {
  return new StorageError('SEGMENT_EXISTS', 'there is such a segment', { where: id });
}

export function unknown(id: string): never {
  throw new StorageError('SEGMENT_UNKNOWN', 'there is no such segment', { where: id });
}

/** Of a work that has not been done. */
export function fenced(id: string, why: string): StorageError {
  return new StorageError('FENCED', why, { where: id, outcome: 'none' });
}
