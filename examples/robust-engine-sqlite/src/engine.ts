import { mkdir } from 'node:fs/promises';
import {
  type CreateOptions,
  type EngineContext,
  headerDigest,
  type IngestOptions,
  type IngestResult,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import { Credit } from './credit.ts';
import { Database } from './database.ts';
import { Reader } from './reader.ts';
import { rowsOf } from './rows.ts';
import type { SegmentRow } from './schema.ts';
import { Reading, Segment } from './segment.ts';
import type { Settings } from './settings.ts';
import { withStorageErrors } from './sqlite-error.ts';
import type { BatchRow } from './work.ts';
import { Writer } from './writer.ts';

const PART_BYTES = 1024 * 1024;

export class SqliteEngine implements StorageEngine {
  readonly #database: Database;
  readonly #reading: Reading;
  /** Of the segments that are open. */
  readonly #writers = new Map<string, Writer>();
  readonly #credit: Credit;
  readonly #lock: { release(): Promise<void> };
  /** Ids that are being made: whoever asks for one meanwhile waits. */
  readonly #making = new Map<string, Promise<unknown>>();
  #closing: Promise<void> | undefined;

  static async open(ctx: EngineContext<Settings>): Promise<SqliteEngine> {
    const dir = ctx.config.dir ?? ctx.dir;
    // not by ctx.fs: the suite would take the little that goes there for all that this engine does
    await mkdir(dir, { recursive: true });
    const lock = await ctx.lock(dir);
    try {
      return new SqliteEngine(lock, await Database.open(ctx, dir), new Credit(ctx.config.windowBytes));
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  private constructor(lock: { release(): Promise<void> }, database: Database, credit: Credit) {
    this.#lock = lock;
    this.#database = database;
    this.#reading = new Reading(database.reader);
    this.#credit = credit;
  }

  /** Made with the database, and in it: another one is another medium. */
  get incarnation(): string {
    return this.#database.incarnation;
  }

  async create(id: string, { base, epoch, state }: CreateOptions): Promise<SegmentWriter> {
    const work = { kind: 'create', id, base, epoch, at: 0, length: state.length } as const;
    const { key } = await this.#database.run({ ...work }, [state]);
    const segment = new Segment({ id, key, base, last: base, end: base, sealed: 0 }, this.#reading);
    const writer = new Writer(segment, this.#database, this.#credit, () => this.#writers.delete(id));
    this.#writers.set(id, writer);
    return writer;
  }

  async recover(id: string, { epoch }: { readonly epoch: number }): Promise<{ readonly end: number }> {
    const row = this.#find(id);
    if (epoch < row.epoch)
      throw new StorageError('FENCED', `epoch ${row.epoch} has the segment`, { where: id, outcome: 'none' });
    const writer = this.#writers.get(id);
    // from here on nothing more is asked for; what has been already lies in front of the seal
    writer?.fence(`epoch ${epoch} has taken the segment over`);
    const { end } = await this.#database.run({ kind: 'recover', id, epoch });
    writer?.sealed(end);
    return { end };
  }

  ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    return this.#alone(id, async () => {
      const before = this.#row(id);
      if (before !== undefined && before.uid !== options.uid)
        throw new StorageError('SEGMENT_EXISTS', 'there is such a segment', { where: id });
      if (before !== undefined) return { bytes: before.bytes, crc: before.crc };
      const { base, end, epoch, state, uid } = options;
      return this.#database.attempt(async (key) => {
        const copy = { id, base, end, epoch, uid, last: base, bytes: 0, crc: 0, batches: 0 };
        for await (const chunk of batches) {
          const rows = rowsOf([chunk], copy.last);
          copy.last = rows.at(-1)?.next ?? copy.last;
          copy.batches += rows.length;
          copy.bytes += chunk.length;
          for (const { at } of rows) copy.crc = headerDigest(copy.crc, chunk, at);
          for (const part of partsOf(rows)) await this.#store(key, part, chunk);
        }
        // data first, then the one row that makes it a segment
        const work = { kind: 'publish', key, segment: copy, at: 0, length: state.length } as const;
        const { bytes, crc } = await this.#database.run({ ...work }, [state]);
        return { bytes, crc };
      });
    });
  }

  async #store(key: number, rows: readonly BatchRow[], chunk: Uint8Array): Promise<void> {
    const from = rows[0]?.at ?? 0;
    const length = rows.reduce((sum, row) => sum + row.length, 0);
    const placed = rows.map((row) => ({ ...row, at: row.at - from }));
    await this.#database.run({ kind: 'part', key, rows: placed, at: 0, length }, [chunk.subarray(from, from + length)]);
  }

  async openReader(id: string): Promise<SegmentReader> {
    const row = this.#find(id);
    if (row.sealed === 0)
      throw new StorageError('SEGMENT_NOT_SEALED', 'an open segment is read through its writer', { where: id });
    return new Reader(new Segment(row, this.#reading));
  }

  async delete(id: string): Promise<void> {
    this.#writers.get(id)?.fence('the segment has been deleted');
    this.#writers.delete(id);
    await this.#database.run({ kind: 'delete', id });
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after = '', limit } = options;
    return withStorageErrors(() => this.#reading.ids(prefix, after, limit));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#credit.end(new StorageError('CLOSED', 'the engine is closed'));
    try {
      await this.#database.close();
    } finally {
      await this.#lock.release();
    }
  }

  /** The database has every segment there ever was, so what is not in it never was here, or was deleted. */
  #find(id: string): SegmentRow {
    const row = this.#row(id);
    if (row === undefined) throw new StorageError('SEGMENT_UNKNOWN', 'there is no such segment', { where: id });
    return row;
  }

  #row(id: string): SegmentRow | undefined {
    return withStorageErrors(() => this.#reading.row(id));
  }

  async #alone<T>(id: string, run: () => Promise<T>): Promise<T> {
    const before = this.#making.get(id) ?? Promise.resolve();
    const turn = before.then(run);
    const over = turn.catch(() => {});
    this.#making.set(id, over);
    try {
      return await turn;
    } finally {
      if (this.#making.get(id) === over) this.#making.delete(id);
    }
  }
}

/** Runs of rows that are not too large for a group. */
function partsOf(rows: readonly BatchRow[]): BatchRow[][] {
  const parts: BatchRow[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    if (bytes + row.length > PART_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(row);
    bytes += row.length;
  }
  return parts;
}
