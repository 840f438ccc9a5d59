import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { DamagedRow } from './damage.ts';

export const FORMAT = 1;

/** `RSQL`, in the header of the file: another program's database is not opened by mistake. */
const APPLICATION_ID = 0x5253514c;

/**
 * - `medium`: one row. `commits` counts transactions, `opening` the times that the database was opened: who has an older one is gone.
 * - `segments`: what can be seen. `last` is the end of the last batch, below `end` when a hole follows.
 * - `batches`: `prev` is where the batch before ends, so that a missing row is noticed. The bytes come last: a scan stops before them.
 * - `doomed`: keys whose batches are to go: deleted segments, and copies on their way in until they are published.
 */
const TABLES = `
  CREATE TABLE medium (
    one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, incarnation TEXT NOT NULL,
    opening INTEGER NOT NULL, commits INTEGER NOT NULL, keys INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE segments (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, base INTEGER NOT NULL, "end" INTEGER NOT NULL, last INTEGER NOT NULL,
    epoch INTEGER NOT NULL, sealed INTEGER NOT NULL, uid TEXT NOT NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL,
    stateDigest INTEGER NOT NULL, digest INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE states (key INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
  CREATE TABLE batches (
    segment INTEGER NOT NULL, next INTEGER NOT NULL, prev INTEGER NOT NULL, base INTEGER NOT NULL,
    maxTimestamp INTEGER NOT NULL, digest INTEGER NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX batches_by_offset ON batches (segment, next);
  CREATE TABLE doomed (segment INTEGER PRIMARY KEY) STRICT;
`;

export interface SegmentRow {
  readonly key: number;
  readonly id: string;
  readonly base: number;
  readonly end: number;
  readonly last: number;
  readonly epoch: number;
  readonly sealed: number;
  /** Empty for one that was created here. */
  readonly uid: string;
  readonly bytes: number;
  readonly crc: number;
  readonly stateDigest: number;
}

/** The connection that writes. A commit has been synced when it returns. */
export function openForWriting(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 10_000 });
  try {
    // FULL: the log is synced with each commit; NORMAL would sync it with checkpoints only. The last two: macOS lies about fsync otherwise
    db.exec(`
      PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
      PRAGMA journal_size_limit = 67108864;
      PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA cell_size_check = ON;
    `);
    const mode = db.prepare('PRAGMA journal_mode').get();
    if (mode?.journal_mode !== 'wal') throw new Error('this file system allows no write-ahead log of SQLite');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** @returns false when the database was there */
export function createTables(db: DatabaseSync, incarnation: string): boolean {
  const { application_id: id } = db.prepare('PRAGMA application_id').get() ?? {};
  if (id === APPLICATION_ID) return false;
  if (db.prepare('SELECT 1 FROM sqlite_schema').get() !== undefined) throw new Error('the database of something else');
  db.exec('BEGIN IMMEDIATE');
  db.exec(TABLES);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  db.prepare('INSERT INTO medium VALUES (1, ?, ?, 0, 0, 0)').run(FORMAT, incarnation);
  db.exec('COMMIT');
  return true;
}

/** SQLite has no checksums of its own in the database file. */
export function digestOf(row: SegmentRow): number {
  const { key, id, base, end, last, epoch, sealed, uid, bytes, crc, stateDigest } = row;
  return crc32(JSON.stringify([key, id, base, end, last, epoch, sealed, uid, bytes, crc, stateDigest]));
}

/** What `SELECT *` of `segments` gave. @throws DamagedRow */
export function checkedRow(found: Readonly<Record<string, unknown>>): SegmentRow {
  const row = found as unknown as SegmentRow; // the table is STRICT, and the digest covers the rest
  if (digestOf(row) !== found.digest) throw new DamagedRow(`the row of segment ${row.id} is damaged`);
  return row;
}
