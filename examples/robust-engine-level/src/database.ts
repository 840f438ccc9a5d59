import { dirname, join } from 'node:path';
import { describeError, type EngineContext, StorageError } from '@robustmq/core';
import { ClassicLevel } from 'classic-level';
import { type Change, Draft } from './draft.ts';
import { LogNames, syncNames } from './names.ts';
import { Proof } from './proof.ts';
import {
  damaged,
  decodeRow,
  doomedKey,
  encodeRow,
  FORMAT,
  keyOfDoomed,
  MEDIUM_KEY,
  type MediumRow,
  rangeOf,
  type SegmentRow,
  segmentKey,
  shareOf,
  stateKey,
} from './rows.ts';
import { MAX_BATCH_BYTES, type Settings } from './settings.ts';

export type Level = ClassicLevel<Buffer, Uint8Array>;

const WRITE_BUFFER_BYTES = 2 * MAX_BATCH_BYTES;
/** How long commits that never pause may go without a proof. */
const PROOF_WITHIN_MS = 1000;
/** LevelDB gives deleted space back when it likes; of a large segment it is told. */
const COMPACT_FROM_BYTES = 4 * 1024 * 1024;

/**
 * By directory. Whoever has the lock of the directory owns it: an instance of this process that has lost the lock, and is not closed, is one
 * that a test has abandoned. LevelDB has a lock of its own, which that one still holds.
 */
const OPEN = new Map<string, Database>();

/** One LevelDB, its rows of segments in memory, and the number beside it that says how many commits it must hold. */
export class Database {
  readonly #ctx: EngineContext<Settings>;
  readonly #dir: string;
  readonly #proof: Proof;
  #level: Level;
  #logs: LogNames;
  #medium: MediumRow;
  #segments: Map<string, SegmentRow> = new Map();
  #timer: { cancel(): void } | undefined;
  #provenAt: number;
  #sweeping: Promise<void> = Promise.resolve();
  #proving: Promise<void> = Promise.resolve();
  #closed = false;
  #closing: Promise<void> | undefined;
  /** A write has failed: {@link reopen} before the next one. */
  broken = false;

  static async open(ctx: EngineContext<Settings>, dir: string): Promise<Database> {
    await OPEN.get(dir)?.close();
    const proof = await Proof.open(join(dir, 'proof'));
    let level: Level | undefined;
    try {
      level = await openLevel(ctx, dir, proof.commits === 0);
      const { medium, segments } = await load(level, proof.commits, () => ctx.random.uuid());
      await syncNames(dir);
      await syncNames(dirname(dir));
      const database = new Database(ctx, dir, proof, level, medium);
      database.#segments = segments;
      await database.#logs.sync();
      OPEN.set(dir, database);
      await proof.write(medium.commits);
      await database.#sweepRemains();
      return database;
    } catch (error) {
      OPEN.delete(dir);
      await level?.close().catch(() => {});
      await proof.close();
      throw typed(error, dir);
    }
  }

  private constructor(ctx: EngineContext<Settings>, dir: string, proof: Proof, level: Level, medium: MediumRow) {
    this.#ctx = ctx;
    this.#dir = dir;
    this.#proof = proof;
    this.#level = level;
    this.#logs = new LogNames(join(dir, 'db'), WRITE_BUFFER_BYTES);
    this.#medium = medium;
    this.#provenAt = ctx.clock.monotonic();
  }

  get level(): Level {
    return this.#level;
  }

  get incarnation(): string {
    return this.#medium.incarnation;
  }

  get(id: string): SegmentRow | undefined {
    return this.#segments.get(id);
  }

  ids(): string[] {
    return [...this.#segments.keys()].sort();
  }

  draft(): Draft {
    return new Draft(this.#medium, this.#segments);
  }

  /** Resolves once all of the draft is durable; only then it can be seen. After a failure nobody knows, until {@link reopen}. */
  async commit(draft: Draft): Promise<void> {
    if (draft.changes.length === 0 && draft.touched.size === 0) return;
    const medium = draft.finish();
    await this.#write(draft.changes);
    this.#medium = medium;
    for (const [id, row] of draft.touched) {
      if (row === undefined) this.#segments.delete(id);
      else this.#segments.set(id, row);
    }
    this.#proveSoon();
  }

  /**
   * After a failed write LevelDB may go on behind a half-written entry, and would drop everything from there at its next start. So it starts
   * now: what its log holds becomes a table, synced, and the commit that failed is in it or is not.
   */
  async reopen(): Promise<void> {
    await this.#sweeping;
    await this.#level.close();
    this.#level = await openLevel(this.#ctx, this.#dir, false);
    await this.#logs.sync();
    const { medium, segments } = await load(this.#level, this.#medium.commits);
    this.#medium = medium;
    this.#segments = segments;
    this.broken = false;
  }

  /** Removes what lies below the key, in the background, one key at a time. At the next start, if there is no time for it now. */
  sweep({ key, bytes }: { readonly key: number; readonly bytes: number }): Promise<void> {
    const sweeping = this.#sweeping.then(() => this.#logs.during(() => this.#sweep(key, bytes)));
    this.#sweeping = sweeping.catch((error) => {
      this.broken = true;
      this.#ctx.logger.warn({ error: describeError(error) }, 'deleted data is still there, until the next start');
    });
    return this.#sweeping;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    if (OPEN.get(this.#dir) === this) OPEN.delete(this.#dir);
    this.#timer?.cancel();
    await this.#sweeping;
    await this.#prove();
    try {
      await this.#level.close();
    } finally {
      await this.#proof.close();
    }
  }

  async #write(changes: readonly Change[]): Promise<void> {
    try {
      await this.#level.batch([...changes], { sync: true });
      await this.#logs.wrote(changes);
    } catch (error) {
      this.broken = true;
      throw error;
    }
  }

  async #sweepRemains(): Promise<void> {
    const keys = (await this.#level.keys(rangeOf('d')).all()).map(keyOfDoomed);
    for (const key of keys) await this.#sweep(key, COMPACT_FROM_BYTES);
  }

  async #sweep(key: number, bytes: number): Promise<void> {
    if (this.#closed) return;
    for (const kind of ['b', 't'] as const) {
      const { gte, lt } = rangeOf(kind, key);
      await this.#level.clear({ gte, lt });
      if (kind === 'b' && bytes >= COMPACT_FROM_BYTES && !this.#closed) await this.#level.compactRange(gte, lt);
    }
    await this.#level.del(doomedKey(key));
  }

  /** When it is quiet, and at the latest after a while. */
  #proveSoon(): void {
    if (this.#closed || this.#timer !== undefined) return;
    const { clock, config } = this.#ctx;
    const seen = this.#medium.commits;
    this.#timer = clock.timer(config.proofIdleMs, () => {
      this.#timer = undefined;
      const late = clock.monotonic() - this.#provenAt >= PROOF_WITHIN_MS;
      if (seen === this.#medium.commits || late) this.#prove().catch(() => {});
      else this.#proveSoon();
    });
  }

  #prove(): Promise<void> {
    this.#provenAt = this.#ctx.clock.monotonic();
    const { commits } = this.#medium;
    this.#proving = this.#proving
      .then(() => this.#proof.write(commits))
      .catch((error) => {
        // only a precaution: what was acknowledged is synced
        this.#ctx.logger.warn({ error: describeError(error) }, 'the number of commits could not be written');
      });
    return this.#proving;
  }
}

/** What LevelDB throws, as ours. */
export function typed(error: unknown, where: string): StorageError {
  if (error instanceof StorageError) return error;
  const codes = [codeOf(error), codeOf((error as { cause?: unknown } | undefined)?.cause)];
  const code = codes.includes('LEVEL_LOCKED')
    ? 'DIRECTORY_LOCKED'
    : codes.includes('LEVEL_CORRUPTION')
      ? 'CORRUPT'
      : 'IO_ERROR';
  return new StorageError(code, 'LevelDB failed', { where, cause: error });
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

async function openLevel(ctx: EngineContext<Settings>, dir: string, createIfMissing: boolean): Promise<Level> {
  const level: Level = new ClassicLevel<Buffer, Uint8Array>(join(dir, 'db'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    // a directory that has held something and is empty now is damage, not a beginning
    createIfMissing,
    // producers compress
    compression: false,
    cacheSize: ctx.config.cacheBytes,
    writeBufferSize: WRITE_BUFFER_BYTES,
    maxFileSize: 4 * MAX_BATCH_BYTES,
  });
  await level.open();
  return level;
}

/** Every row of a segment, and whether they are the ones that belong together. */
async function load(
  level: Level,
  commits: number,
  incarnation?: () => string,
): Promise<{ medium: MediumRow; segments: Map<string, SegmentRow> }> {
  const medium = await loadMedium(level, commits, incarnation);
  const segments = new Map<string, SegmentRow>();
  let digest = 0;
  for await (const [key, value] of level.iterator(rangeOf('s'))) {
    const bytes = Buffer.from(value);
    const row = decodeRow<SegmentRow>(key, bytes);
    if (!segmentKey(row.id).equals(key)) throw damaged(`the row of ${row.id}`);
    digest ^= shareOf(bytes);
    segments.set(row.id, row);
  }
  if (digest >>> 0 !== medium.digest) throw damaged('a row of a segment');
  return { medium, segments };
}

async function loadMedium(level: Level, commits: number, incarnation?: () => string): Promise<MediumRow> {
  // not `get`: that asks a filter first, which has no checksum
  const [found] = await level.iterator({ gte: MEDIUM_KEY, lte: MEDIUM_KEY }).all();
  if (found !== undefined) {
    const medium = decodeRow<MediumRow>(found[0], Buffer.from(found[1]));
    if (medium.format > FORMAT)
      throw new StorageError('FORMAT_TOO_NEW', `format ${medium.format}, and this version reads ${FORMAT}`);
    if (medium.commits < commits) throw damaged(`of ${commits} commits the last ${commits - medium.commits}`);
    return medium;
  }
  const [something] = await level.keys({ limit: 1 }).all();
  if (commits > 0 || something !== undefined || incarnation === undefined) throw damaged('the row of the medium');
  const medium: MediumRow = { format: FORMAT, incarnation: incarnation(), commits: 1, nextKey: 1, digest: 0 };
  await level.batch([{ type: 'put', key: MEDIUM_KEY, value: encodeRow(MEDIUM_KEY, medium) }], { sync: true });
  return medium;
}

/** @throws CORRUPT */
export async function loadState(level: Level, { key, id }: SegmentRow): Promise<Uint8Array> {
  const [found] = await level.values({ gte: stateKey(key), lte: stateKey(key) }).all();
  if (found === undefined) throw damaged(`the state of ${id}`);
  return found;
}
