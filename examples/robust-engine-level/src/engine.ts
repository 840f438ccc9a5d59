import { mkdir } from 'node:fs/promises';
import {
  type CreateOptions,
  type EngineContext,
  forEachBatch,
  type IngestOptions,
  type IngestResult,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import { Commits } from './commits.ts';
import { Credit } from './credit.ts';
import { Database, typed } from './database.ts';
import { type Copy, exists, unknown } from './draft.ts';
import { Reader } from './reader.ts';
import type { SegmentRow } from './rows.ts';
import type { Settings } from './settings.ts';
import { Writer } from './writer.ts';

const PART_BYTES = 1024 * 1024;

export class LevelEngine implements StorageEngine {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #credit: Credit;
  readonly #lock: { release(): Promise<void> };
  #closing: Promise<void> | undefined;

  static async open(ctx: EngineContext<Settings>): Promise<LevelEngine> {
    const dir = ctx.config.dir ?? ctx.dir;
    // not through ctx.fs: what LevelDB writes does not go there either, and the scorecard counts what does
    await mkdir(dir, { recursive: true });
    const lock = await ctx.lock(dir);
    try {
      return new LevelEngine(ctx, dir, lock, await Database.open(ctx, dir));
    } catch (error) {
      await lock.release();
      throw typed(error, dir);
    }
  }

  private constructor(
    ctx: EngineContext<Settings>,
    dir: string,
    lock: { release(): Promise<void> },
    database: Database,
  ) {
    this.#lock = lock;
    this.#database = database;
    this.#commits = new Commits(ctx, dir, database);
    this.#credit = new Credit(ctx.config.windowBytes);
  }

  /** Made with the database, and in it: another one is another medium. */
  get incarnation(): string {
    return this.#database.incarnation;
  }

  async create(id: string, options: CreateOptions): Promise<SegmentWriter> {
    await this.#commits.submit(options.state.length + 1, (draft) => draft.create(id, options));
    return new Writer(this.#database, this.#find(id), this.#commits, this.#credit);
  }

  async recover(id: string, { epoch }: { readonly epoch: number }): Promise<{ readonly end: number }> {
    const { end } = await this.#commits.submit(0, (draft) => draft.recover(id, epoch));
    return { end };
  }

  async ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    const before = this.#database.get(id);
    if (before !== undefined) return sameCopy(before, options.uid);
    let published = false;
    let copy: Copy = await this.#commits.submit(1, (draft) => draft.beginCopy(options.base));
    try {
      for await (const chunk of batches)
        for (const part of partsOf(chunk))
          copy = await this.#commits.submit(part.length, (draft) => draft.part(copy, part));
      // data first, then the one row that makes it a segment
      published = true;
      await this.#commits.submit(0, (draft) => draft.publish(id, options, copy));
      return { bytes: copy.bytes, crc: copy.crc };
    } catch (error) {
      // a commit of which nobody knows may have made it a segment: its rows stay until the next start, which knows
      if (!published || isRefused(error)) await this.#database.sweep(copy);
      // two that brought the same copy at once: one of them is in
      const other = this.#database.get(id);
      if (other !== undefined && isExists(error)) return sameCopy(other, options.uid);
      throw error;
    }
  }

  async openReader(id: string): Promise<SegmentReader> {
    const row = this.#find(id);
    if (row.sealed) return new Reader(this.#database, row);
    throw new StorageError('SEGMENT_NOT_SEALED', 'an open segment is read through its writer', { where: id });
  }

  async delete(id: string): Promise<void> {
    const gone = await this.#commits.submit(0, (draft) => draft.delete(id));
    if (gone !== undefined) await this.#database.sweep(gone);
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after, limit } = options;
    const wanted = (id: string): boolean => id.startsWith(prefix) && (after === undefined || id > after);
    return this.#database.ids().filter(wanted).slice(0, limit);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#credit.end(new StorageError('CLOSED', 'the engine is closed'));
    try {
      await this.#commits.close();
      await this.#database.close();
    } finally {
      await this.#lock.release();
    }
  }

  #find(id: string): SegmentRow {
    return this.#database.get(id) ?? unknown(id);
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof StorageError && error.outcome === 'none';
}

function isExists(error: unknown): boolean {
  return error instanceof StorageError && error.code === 'SEGMENT_EXISTS';
}

/** A reply that was lost is asked for again. */
function sameCopy({ id, uid, bytes, crc }: SegmentRow, wanted: string): IngestResult {
  if (uid !== wanted) throw exists(id);
  return { bytes, crc };
}

/** Whole batches, in pieces of about a MiB: one commit each. */
function partsOf(chunk: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  forEachBatch(chunk, (header, at) => {
    if (at + header.bytes - from < PART_BYTES) return;
    parts.push(chunk.subarray(from, at + header.bytes));
    from = at + header.bytes;
  });
  return from < chunk.length ? [...parts, chunk.subarray(from)] : parts;
}
