import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { headerDigest, type SegmentOffsets, type SegmentRead, type SegmentState, StorageError } from '@robustmq/core';
import { checkedRow, type SegmentRow } from './schema.ts';

/** What this thread knows of a segment; the rest is in the database. */
export class Segment {
  readonly id: string;
  readonly key: number;
  readonly base: number;
  readonly #read: Reading;
  /** Where the last batch ends: below `end` when a hole follows. */
  last: number;
  end: number;
  sealed: boolean;

  constructor(row: Pick<SegmentRow, 'id' | 'key' | 'base' | 'last' | 'end' | 'sealed'>, read: Reading) {
    this.id = row.id;
    this.key = row.key;
    this.base = row.base;
    this.last = row.last;
    this.end = row.end;
    this.sealed = row.sealed !== 0;
    this.#read = read;
  }

  offsets(): SegmentOffsets {
    return { base: this.base, committed: this.end, end: this.end, sealed: this.sealed };
  }

  /** The thread that writes may have committed more than it has told: nothing past `last` is looked at. */
  read(from: number, maxBytes: number): SegmentRead {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let next = from;
    this.#refuseDeleted();
    for (const row of this.#read.batches.iterate(this.key, from, this.last)) {
      const batch = row.bytes as Uint8Array; // a BLOB in a STRICT table
      if (parts.length > 0 && bytes + batch.length > maxBytes) break;
      if (Number(row.prev) > next || headerDigest(0, batch, 0) !== row.digest) throw this.#damaged(next);
      parts.push(batch);
      bytes += batch.length;
      next = Number(row.next);
    }
    if (parts.length > 0) return { bytes: parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts), next };
    if (from < this.last) throw this.#damaged(from);
    return { bytes: new Uint8Array(0), next: this.end };
  }

  state(): SegmentState {
    this.#refuseDeleted();
    const state = this.#read.state.get(this.key)?.state as Uint8Array | undefined; // a BLOB in a STRICT table
    if (state === undefined || crc32(state) !== this.#read.row(this.id)?.stateDigest)
      throw new StorageError('CORRUPT', 'the state is damaged', { where: this.id });
    return state;
  }

  offsetForTimestamp(timestamp: number): number | undefined {
    this.#refuseDeleted();
    const found = this.#read.byTime.get(this.key, timestamp, this.last);
    return found && Number(found.base);
  }

  #refuseDeleted(): void {
    if (this.#read.there.get(this.key) === undefined)
      throw new StorageError('SEGMENT_UNKNOWN', 'the segment has been deleted', { where: this.id });
  }

  #damaged(offset: number): StorageError {
    return new StorageError('CORRUPT', `the batch of offset ${offset} is damaged or missing`, { where: this.id });
  }
}

/** The statements of the connection that reads. */
export class Reading {
  readonly batches: StatementSync;
  readonly state: StatementSync;
  readonly there: StatementSync;
  readonly byTime: StatementSync;
  readonly #row: StatementSync;
  readonly #ids: StatementSync;

  constructor(db: DatabaseSync) {
    this.batches = db.prepare(
      'SELECT prev, next, digest, bytes FROM batches WHERE segment = ? AND next > ? AND next <= ? ORDER BY next',
    );
    this.state = db.prepare('SELECT state FROM states WHERE key = ?');
    this.byTime = db.prepare(
      'SELECT base FROM batches WHERE segment = ? AND maxTimestamp >= ? AND next <= ? ORDER BY next LIMIT 1',
    );
    this.there = db.prepare('SELECT 1 FROM segments WHERE key = ?');
    this.#row = db.prepare('SELECT * FROM segments WHERE id = ?');
    this.#ids = db.prepare('SELECT id FROM segments WHERE id > ? AND id >= ? AND id < ? ORDER BY id LIMIT ?');
  }

  row(id: string): SegmentRow | undefined {
    const found = this.#row.get(id);
    return found && checkedRow(found);
  }

  ids(prefix: string, after: string, limit: number): string[] {
    // no character of an id lies above DEL
    return this.#ids.all(after, prefix, `${prefix}\x7f`, limit).map(({ id }) => String(id));
  }
}
