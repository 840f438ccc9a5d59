import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { DamagedRow } from './damage.ts';
import { Proof } from './proof.ts';
import { checkedRow, createTables, digestOf, FORMAT, openForWriting, type SegmentRow } from './schema.ts';
import type { Answer, BatchRow, Done, Group, Published, Refused, Work } from './work.ts';

const SWEEP_ROWS = 128;
const NOTHING: Done = { key: 0, end: 0, bytes: 0, crc: 0 };

/** What the thread does: one transaction a group. Either all of a group is committed and synced, or none of it. */
export class Store {
  readonly #path: string;
  readonly #proof: Proof;
  readonly incarnation: string;
  readonly #opening: number;
  #db: DatabaseSync;
  #sql: Statements;
  #open = false;
  #commits: number;
  #keys: number;
  /** Rows that this group has read or changed. */
  #rows = new Map<number, SegmentRow>();
  #changed = new Set<number>();

  constructor(dir: string, incarnation: string) {
    this.#path = join(dir, 'segments.db');
    this.#proof = new Proof(join(dir, 'segments.proof'));
    try {
      this.#db = openForWriting(this.#path);
    } catch (error) {
      this.#proof.close();
      throw error;
    }
    try {
      if (createTables(this.#db, incarnation)) syncDirectories(dir);
      this.#sql = prepareAll(this.#db);
      const medium = this.#sql.medium.get() ?? {};
      if (Number(medium.format) > FORMAT) throw new NewerFormat(Number(medium.format));
      this.incarnation = String(medium.incarnation);
      this.#commits = Number(medium.commits);
      this.#keys = Number(medium.keys);
      if (this.#commits < this.#proof.commits)
        throw new DamagedRow(
          `${this.#proof.commits} commits were synced and ${this.#commits} are left: segments.db-wal is damaged or gone`,
        );
      this.#opening = Number(medium.opening) + 1;
      // from here on an older instance can commit nothing; and what a killed process had written, but never synced, is synced
      this.#transaction((): void => void this.#sql.open.run(this.#opening));
      this.#proof.write(this.#commits);
    } catch (error) {
      this.#db.close();
      this.#proof.close();
      throw error;
    }
  }

  /** @throws what SQLite says; nobody knows then whether the group is on the disk */
  run({ works, bytes }: Group): Answer[] {
    if (works.length === 1 && works[0]?.kind === 'prove') {
      this.#proof.write(this.#commits);
      return [NOTHING];
    }
    try {
      return this.#transaction(() => works.map((work) => this.#try(work, bytes)));
    } catch (error) {
      this.#reopen();
      throw error;
    }
  }

  close(): void {
    try {
      this.#proof.write(this.#commits);
    } finally {
      this.#proof.close();
      this.#db.close();
    }
  }

  /** A connection whose commit has failed is not used again. */
  #reopen(): void {
    try {
      this.#db.close();
    } catch {
      // the next one tells
    }
    this.#db = openForWriting(this.#path);
    this.#sql = prepareAll(this.#db);
    const medium = this.#sql.medium.get() ?? {};
    this.#commits = Number(medium.commits);
    this.#keys = Number(medium.keys);
  }

  #transaction<T>(run: () => T): T {
    this.#rows = new Map();
    this.#changed = new Set();
    this.#db.exec('BEGIN IMMEDIATE');
    const { opening, commits } = this.#sql.medium.get() ?? {};
    if (this.#open && opening !== this.#opening) throw new Error('another instance has opened the database');
    const result = run();
    for (const key of this.#changed) this.#write(key);
    this.#commits = Number(commits) + 1;
    this.#sql.commit.run(this.#commits, this.#keys);
    this.#db.exec('COMMIT');
    this.#open = true;
    return result;
  }

  /** Damage of one segment fails nothing of the others: rows are looked up before anything is changed. */
  #try(work: Work, bytes: Uint8Array): Answer {
    try {
      return this.#do(work, bytes);
    } catch (error) {
      if (error instanceof DamagedRow) return { code: 'CORRUPT', detail: error.message };
      throw error;
    }
  }

  #do(work: Work, bytes: Uint8Array): Answer {
    switch (work.kind) {
      case 'create':
        return this.#create(work.id, work.base, work.epoch, cut(bytes, work.at, work.length));
      case 'append':
        return this.#append(work.key, work.base, work.rows, cut(bytes, work.at, work.length));
      case 'seal':
        return this.#seal(this.#row(work.key), 0);
      case 'recover':
        return this.#seal(this.#find(work.id), work.epoch);
      case 'begin':
        this.#sql.doom.run(++this.#keys);
        return { ...NOTHING, key: this.#keys };
      case 'part':
        this.#insert(work.key, work.rows, cut(bytes, work.at, work.length));
        return NOTHING;
      case 'publish':
        return this.#publish(work.key, work.segment, cut(bytes, work.at, work.length));
      case 'delete':
        return this.#delete(work.id);
      case 'sweep':
        return this.#sweep(work.not);
      case 'prove':
        return NOTHING;
    }
  }

  #create(id: string, base: number, epoch: number, state: Uint8Array): Answer {
    if (this.#find(id) !== undefined) return exists(id);
    const stateDigest = crc32(state);
    const row = { id, base, end: base, last: base, epoch, sealed: 0, uid: '', bytes: 0, crc: 0, stateDigest };
    return this.#show({ key: ++this.#keys, ...row }, state);
  }

  #append(key: number, base: number, rows: readonly BatchRow[], bytes: Uint8Array): Answer {
    const row = this.#row(key);
    if (row === undefined) return { code: 'FENCED', detail: 'the segment has been deleted' };
    if (row.sealed !== 0) return { code: 'FENCED', detail: 'the segment has been sealed' };
    if (row.end !== base) return { code: 'OFFSET_MISMATCH', detail: `${row.end} is next` };
    this.#insert(key, rows, bytes);
    const end = rows.at(-1)?.next ?? base;
    this.#change({ ...row, end, last: end, bytes: row.bytes + bytes.length });
    return { ...NOTHING, end };
  }

  #seal(row: SegmentRow | undefined, epoch: number): Answer {
    if (row === undefined) return unknown();
    if (epoch > 0 && epoch < row.epoch) return { code: 'FENCED', detail: `epoch ${row.epoch} has the segment` };
    if (this.#sql.lastBatch.get(row.key)?.next !== (row.last === row.base ? undefined : row.last))
      return { code: 'CORRUPT', detail: `the batch that ends at ${row.last} is missing` };
    if (row.sealed === 0 || epoch > row.epoch) this.#change({ ...row, sealed: 1, epoch: Math.max(epoch, row.epoch) });
    return { ...NOTHING, end: row.end };
  }

  #publish(key: number, segment: Published, state: Uint8Array): Answer {
    const { batches, ...published } = segment;
    const before = this.#find(segment.id);
    if (before !== undefined) return before.uid === segment.uid ? { ...NOTHING, ...before } : exists(segment.id);
    if (this.#sql.count.get(key)?.n !== batches) return { code: 'CORRUPT', detail: 'batches of the copy are missing' };
    this.#sql.spare.run(key);
    return this.#show({ key, ...published, sealed: 1, stateDigest: crc32(state) }, state);
  }

  #delete(id: string): Answer {
    const found = this.#sql.byId.get(id);
    if (found === undefined) return NOTHING;
    const key = Number(found.key);
    this.#sql.dropSegment.run(key);
    this.#sql.dropState.run(key);
    this.#sql.doom.run(key);
    this.#rows.delete(key);
    this.#changed.delete(key);
    return NOTHING;
  }

  /** A few rows at a time: others wait for their turn behind it. `end` is not 0 when there is more. */
  #sweep(not: readonly number[]): Answer {
    const key = this.#sql.doomed.all().find(({ segment }) => !not.includes(Number(segment)))?.segment;
    if (key === undefined) return NOTHING;
    const { changes } = this.#sql.dropBatches.run(key, SWEEP_ROWS);
    if (changes < SWEEP_ROWS) this.#sql.spare.run(key);
    return { ...NOTHING, end: 1 };
  }

  #insert(key: number, rows: readonly BatchRow[], bytes: Uint8Array): void {
    for (const { at, length, prev, base, next, maxTimestamp, digest } of rows)
      this.#sql.insert.run(key, next, prev, base, maxTimestamp, digest, cut(bytes, at, length));
  }

  #show(row: SegmentRow, state: Uint8Array): Done {
    this.#sql.insertSegment.run(row.key, row.id);
    this.#sql.insertState.run(row.key, state);
    this.#change(row);
    return row;
  }

  #change(row: SegmentRow): void {
    this.#rows.set(row.key, row);
    this.#changed.add(row.key);
  }

  #row(key: number): SegmentRow | undefined {
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const found = this.#sql.byKey.get(key);
    return found && checkedRow(found);
  }

  /** The row may have been changed in this group: the database has the old one until its end. */
  #find(id: string): SegmentRow | undefined {
    const found = this.#sql.byId.get(id);
    return found && this.#row(Number(found.key));
  }

  #write(key: number): void {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    const { id, base, end, last, epoch, sealed, uid, bytes, crc, stateDigest } = row;
    this.#sql.update.run(id, base, end, last, epoch, sealed, uid, bytes, crc, stateDigest, digestOf(row), key);
  }
}

export class NewerFormat extends Error {
  constructor(format: number) {
    super(`the database has format ${format}, this engine knows ${FORMAT}`);
  }
}

type Statements = ReturnType<typeof prepareAll>;

function prepareAll(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  return {
    medium: sql('SELECT * FROM medium'),
    open: sql('UPDATE medium SET opening = ?'),
    commit: sql('UPDATE medium SET commits = ?, keys = ?'),
    byKey: sql('SELECT * FROM segments WHERE key = ?'),
    byId: sql('SELECT key FROM segments WHERE id = ?'),
    insertSegment: sql("INSERT INTO segments VALUES (?, ?, 0, 0, 0, 0, 0, '', 0, 0, 0, 0)"),
    update:
      sql(`UPDATE segments SET id = ?, base = ?, "end" = ?, last = ?, epoch = ?, sealed = ?, uid = ?, bytes = ?, crc = ?,
      stateDigest = ?, digest = ? WHERE key = ?`),
    dropSegment: sql('DELETE FROM segments WHERE key = ?'),
    // Node 22 makes NULL of bytes that are none
    insertState: sql("INSERT INTO states VALUES (?, coalesce(?, x''))"),
    dropState: sql('DELETE FROM states WHERE key = ?'),
    insert: sql('INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)'),
    lastBatch: sql('SELECT next FROM batches WHERE segment = ? ORDER BY next DESC LIMIT 1'),
    count: sql('SELECT count(*) AS n FROM batches WHERE segment = ?'),
    doom: sql('INSERT INTO doomed VALUES (?)'),
    spare: sql('DELETE FROM doomed WHERE segment = ?'),
    doomed: sql('SELECT segment FROM doomed LIMIT 1000'),
    dropBatches: sql('DELETE FROM batches WHERE rowid IN (SELECT rowid FROM batches WHERE segment = ? LIMIT ?)'),
  };
}

/** Of the file names; SQLite itself syncs the directory for its log only. */
function syncDirectories(dir: string): void {
  for (const path of [dir, dirname(dir)]) {
    const directory = openSync(path, 'r');
    fsyncSync(directory);
    closeSync(directory);
  }
}

function cut(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return bytes.subarray(at, at + length);
}

function exists(id: string): Refused {
  return { code: 'SEGMENT_EXISTS', detail: `there is a segment ${id}` };
}

function unknown(): Refused {
  return { code: 'SEGMENT_UNKNOWN', detail: 'there is no such segment' };
}
