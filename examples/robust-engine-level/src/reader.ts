import { crc32 } from 'node:zlib';
import type { SegmentOffsets, SegmentRead, SegmentReader, SegmentState } from '@robustmq/core';
import { type Database, loadState, typed } from './database.ts';
import { unknown } from './draft.ts';
import {
  batchBound,
  checkedBatch,
  damaged,
  decodeRow,
  rangeOf,
  type SegmentRow,
  type TimeRow,
  timeKey,
} from './rows.ts';

const FETCH_BYTES = 1024 * 1024;
const FETCH_ROWS = 256;

export class Reader implements SegmentReader {
  readonly database: Database;
  readonly id: string;
  /** The newest row that was seen: offsets are still asked for when the segment is gone. */
  #row: SegmentRow;

  constructor(database: Database, row: SegmentRow) {
    this.database = database;
    this.id = row.id;
    this.#row = row;
  }

  protected get row(): SegmentRow {
    const row = this.database.get(this.id);
    if (row?.key === this.#row.key) this.#row = row;
    return this.#row;
  }

  offsets(): SegmentOffsets {
    const { base, end, sealed } = this.row;
    return { base, committed: end, end, sealed };
  }

  state(): Promise<SegmentState> {
    return this.#look(async (row) => {
      const state = await loadState(this.database.level, row);
      if (crc32(state) !== row.stateCrc) throw damaged(`the state of ${this.id}`);
      return state;
    });
  }

  read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<SegmentRead> {
    return this.#look((row) => this.#read(row, from, maxBytes));
  }

  offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#look(async ({ key, maxTime }) => {
      if (maxTime === undefined || timestamp > maxTime) return undefined;
      const range = { gte: timeKey(key, timestamp), lt: rangeOf('t', key).lt, limit: 1 };
      const [found] = await this.database.level.iterator(range).all();
      if (found === undefined) throw damaged(`a time of ${this.id}`);
      const { base, before } = decodeRow<TimeRow>(found[0], Buffer.from(found[1]));
      if (before !== undefined && before >= timestamp) throw damaged(`a time of ${this.id}`);
      return base;
    });
  }

  async close(): Promise<void> {}

  async #read({ key, last, end }: SegmentRow, from: number, maxBytes: number): Promise<SegmentRead> {
    if (from >= last) return { bytes: new Uint8Array(0), next: end };
    const found: Uint8Array[] = [];
    let bytes = 0;
    let next = from;
    const rows = this.database.level.iterator({
      gte: batchBound(key, from),
      lt: batchBound(key, last),
      highWaterMarkBytes: Math.min(maxBytes, FETCH_BYTES),
    });
    try {
      while (next < last && (found.length === 0 || bytes < maxBytes)) {
        const page = await rows.nextv(FETCH_ROWS);
        if (page.length === 0) throw damaged(`a batch of ${this.id}`);
        for (const [rowKey, batch] of page) {
          if (found.length > 0 && bytes + batch.length > maxBytes) return { bytes: join(found), next };
          const row = checkedBatch(rowKey, batch);
          if (found.length === 0 ? row.prev > from : row.prev !== next) throw damaged(`a batch of ${this.id}`);
          found.push(batch);
          bytes += batch.length;
          next = row.next;
        }
      }
    } finally {
      await rows.close();
    }
    return { bytes: join(found), next };
  }

  /** What looks like damage is none if the segment has been deleted meanwhile. */
  async #look<T>(at: (row: SegmentRow) => Promise<T>): Promise<T> {
    this.#refuseDeleted();
    try {
      return await at(this.row);
    } catch (error) {
      this.#refuseDeleted();
      throw typed(error, this.id);
    }
  }

  #refuseDeleted(): void {
    if (this.database.get(this.id)?.key !== this.#row.key) unknown(this.id);
  }
}

/** Each row was read into memory of its own, so one alone needs no copy. */
function join(found: readonly Uint8Array[]): Uint8Array {
  return found.length === 1 && found[0] !== undefined ? found[0] : Buffer.concat(found);
}
