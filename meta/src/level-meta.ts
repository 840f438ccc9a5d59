/**
 * Meta for a single node, durable on `level`. Every commit is one synchronous, atomic LevelDB batch. Commits that arrive while one is
 * being written share the next batch.
 *
 * Keys in the database: `d/<key>` a row; `l/<revision>` the log of recent commits (idempotency id and result), which is also how a
 * commit that LevelDB lost to a damaged file is noticed; `!format`, `!revision`. Every value carries a CRC32C over its key and itself, since LevelDB
 * skips damaged log records and does not check blocks on plain reads. Beside the database lies `WITNESS`, the newest revision, written without a
 * sync after each commit: LevelDB takes a damaged block for the end of its log, which would else be a silent loss.
 *
 * A write that fails (a full disk) stops commits, not reads. As soon as the disk takes writes again the database is closed, opened and loaded:
 * then it is known whether the commits in doubt are in it.
 */
import {
  type Clock,
  checkMutation,
  isDiskFull,
  isStorageError,
  type Logger,
  META_LIMITS,
  type Meta,
  type MetaCommitResult,
  type MetaEntry,
  type MetaEvent,
  type MetaMutation,
  StorageError,
  silentLogger,
  systemClock,
  type Timer,
  WatchHub,
} from '@robustmq/core';
import { Level } from 'level';
import { probeWrites } from './probe.ts';
import { type SealedRow, seal, unseal } from './sealed-row.ts';
import { Witness } from './witness.ts';

/** Of the database. Written once; an older build refuses a newer one. */
const FORMAT = 1;
/** Commits whose ids are remembered. */
const KEPT_IDS = 4096;
/** Mutations written in one batch. */
const MAX_GROUP = 256;
/** Between a failed write and the tries to open the database again. */
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5000;

export type Database = Level<string, Uint8Array>;

export interface LevelMetaOptions {
  readonly dir: string;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Makes the database: faults in tests. */
  readonly database?: (dir: string) => Database;
}

export interface MetaHealth {
  readonly status: 'ok' | 'failed';
  /** What is wrong, for a person; empty when all is well. */
  readonly detail: string;
}

export interface LevelMeta extends Meta {
  health(): MetaHealth;
  close(): Promise<void>;
}

/** Opens or creates the database in `dir`. @throws DIRECTORY_LOCKED, CORRUPT, FORMAT_TOO_NEW, DISK_FULL, IO_ERROR */
export async function openLevelMeta(options: LevelMetaOptions): Promise<LevelMeta> {
  const db = options.database?.(options.dir) ?? new Level(options.dir, { valueEncoding: 'view' });
  try {
    await db.open();
  } catch (error) {
    throw openError(error, options.dir);
  }
  const opened = new LevelMetaStore(db, options);
  try {
    await opened.load();
    return opened;
  } catch (error) {
    await opened.close();
    throw isStorageError(error) ? error : openError(error, options.dir);
  }
}

interface Waiting {
  readonly mutation: MetaMutation;
  readonly resolve: (result: MetaCommitResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Answer {
  readonly waiting: Waiting;
  readonly result: MetaCommitResult;
  readonly events: readonly MetaEvent[];
}

/** A group whose write failed: all of it is in the database, or nothing. */
interface Doubt {
  /** Of the database if it holds the group. */
  readonly revision: number;
  readonly answers: readonly Answer[];
}

class LevelMetaStore implements LevelMeta {
  readonly #db: Database;
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #hub: WatchHub = new WatchHub(0);
  #witness: Witness | undefined;
  #revision = 0;
  /** Ids of recent commits, oldest first. */
  readonly #results = new Map<string, MetaCommitResult>();
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** Why nothing can be committed now. */
  #failure: StorageError | undefined;
  #doubt: Doubt | undefined;
  #retry: Timer | undefined;
  #reopening: Promise<boolean> | undefined;
  #closed = false;

  constructor(db: Database, options: LevelMetaOptions) {
    this.#db = db;
    this.#dir = options.dir;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
  }

  async load(): Promise<void> {
    const format = await this.#row('!format');
    if (format === undefined) {
      await this.#db
        .batch()
        .put('!format', seal('!format', 0, Buffer.from([FORMAT])))
        .put('!revision', seal('!revision', 0, new Uint8Array(0)))
        .write({ sync: true });
    } else if ((format.value[0] ?? 0) > FORMAT) {
      throw new StorageError(
        'FORMAT_TOO_NEW',
        `Meta database of format ${format.value[0]}, this build reads up to ${FORMAT}`,
        {
          where: this.#dir,
          hint: 'Start the newer build that wrote it',
        },
      );
    }
    await this.#loadState();
    this.#hub = new WatchHub(this.#revision);
  }

  health(): MetaHealth {
    if (this.#failure === undefined) return { status: 'ok', detail: '' };
    const cause = causeOf(this.#failure.cause);
    return {
      status: 'failed',
      detail: `${this.#failure.message}${cause instanceof Error ? `: ${cause.message}` : ''}`,
    };
  }

  async get(key: string): Promise<MetaEntry | undefined> {
    this.#checkReadable();
    const row = await this.#row(`d/${key}`);
    return row === undefined ? undefined : { key, value: row.value, revision: row.revision };
  }

  async list(options: { prefix: string; after?: string; limit?: number }): ReturnType<Meta['list']> {
    this.#checkReadable();
    const limit = Math.min(options.limit ?? META_LIMITS.page, META_LIMITS.page);
    const prefix = `d/${options.prefix}`;
    const range =
      options.after === undefined || `d/${options.after}` < prefix
        ? { gte: prefix, lt: `${prefix}\uffff` }
        : { gt: `d/${options.after}`, lt: `${prefix}\uffff` };
    // the revision is read first: what the page shows is at least that new, and a watch from there repeats, never skips
    const revision = this.#revision;
    const rows = await this.#guarded(() => this.#db.iterator({ ...range, limit: limit + 1 }).all());
    const entries = rows.slice(0, limit).map(([key, bytes]) => {
      const row = this.#open(key, bytes);
      return { key: key.slice(2), value: row.value, revision: row.revision };
    });
    return { entries, revision, more: rows.length > limit };
  }

  commit(mutation: MetaMutation): Promise<MetaCommitResult> {
    return new Promise((resolve, reject) => {
      checkMutation(mutation);
      const refusal = this.#refusal(mutation.id);
      if (refusal !== undefined) throw refusal;
      this.#queue.push({ mutation, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  commitEach(mutations: readonly MetaMutation[]): Promise<MetaCommitResult[]> {
    return Promise.all(mutations.map((mutation) => this.commit(mutation)));
  }

  watch(options: { prefix: string; from: number; signal: AbortSignal }): AsyncIterable<readonly MetaEvent[]> {
    return this.#hub.watch(options);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#retry?.cancel();
    await this.#writing;
    await this.#reopening;
    this.#hub.close();
    await this.#witness?.close();
    await this.#db.close();
  }

  // ---- committing

  async #drain(): Promise<void> {
    await Promise.resolve(); // whoever commits in the same turn shares the batch
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, MAX_GROUP).filter(({ mutation, reject }) => {
        const refusal = this.#refusal(mutation.id);
        if (refusal !== undefined) reject(refusal);
        return refusal === undefined;
      });
      if (group.length > 0) await this.#write(group);
    }
    this.#writing = undefined;
  }

  /** Decides the group's mutations in order against the rows they see, writes all that hold as one batch, then answers. */
  async #write(group: readonly Waiting[]): Promise<void> {
    const overlay = new Map<string, number>();
    const answers: Answer[] = [];
    const fresh = new Map<string, MetaCommitResult>();
    const batch = this.#db.batch();
    let revision = this.#revision;
    for (const waiting of group) {
      const { mutation } = waiting;
      const known = this.#results.get(mutation.id) ?? fresh.get(mutation.id);
      if (known !== undefined) {
        answers.push({ waiting, result: known, events: [] });
        continue;
      }
      try {
        const broken = await this.#brokenGuard(mutation, overlay);
        if (broken !== undefined) {
          // not remembered: a guard that failed changed nothing, and a resend may judge again
          answers.push({ waiting, result: broken, events: [] });
          continue;
        }
      } catch (error) {
        waiting.reject(error); // a row of this one can't be read; the others' can
        continue;
      }
      revision++;
      const events: MetaEvent[] = [];
      for (const { key, value } of mutation.puts ?? []) {
        const copy = Uint8Array.from(value);
        batch.put(`d/${key}`, seal(`d/${key}`, revision, copy));
        overlay.set(key, revision);
        events.push({ type: 'put', key, value: copy, revision });
      }
      for (const key of mutation.deletes ?? []) {
        batch.del(`d/${key}`);
        overlay.set(key, 0);
        events.push({ type: 'delete', key, revision });
      }
      const logKey = `l/${pad(revision)}`;
      batch.put(logKey, seal(logKey, revision, Buffer.from(mutation.id)));
      if (revision > KEPT_IDS) batch.del(`l/${pad(revision - KEPT_IDS)}`);
      const result: MetaCommitResult = { ok: true, revision };
      fresh.set(mutation.id, result);
      answers.push({ waiting, result, events });
    }
    if (revision === this.#revision) {
      await batch.close();
      this.#answer(answers);
      return;
    }
    try {
      batch.put('!revision', seal('!revision', revision, new Uint8Array(0)));
      await batch.write({ sync: true });
      await this.#witness?.write(revision);
    } catch (cause) {
      await this.#writeFailed({ revision, answers }, cause);
      return;
    }
    this.#revision = revision;
    for (const [id, result] of fresh) this.#remember(id, result);
    this.#answer(answers);
  }

  #answer(answers: readonly Answer[]): void {
    for (const { result, events } of answers)
      if (result.ok && events.length > 0) this.#hub.publish(result.revision, events);
    for (const { waiting, result } of answers) waiting.resolve(result);
  }

  async #brokenGuard(
    mutation: MetaMutation,
    overlay: ReadonlyMap<string, number>,
  ): Promise<MetaCommitResult | undefined> {
    for (const { key, revision: wanted } of mutation.guards ?? []) {
      const revision = overlay.get(key) ?? (await this.#row(`d/${key}`))?.revision ?? 0;
      if (revision !== wanted) return { ok: false, key, revision };
    }
    return undefined;
  }

  // ---- a failed write

  /**
   * LevelDB takes no more writes after one to its log has failed, and what is on disk is known only after the next open. Until the disk
   * takes writes again the database stays open for reads, as it was before this group.
   */
  async #writeFailed(doubt: Doubt, cause: unknown): Promise<void> {
    this.#failure = this.#unavailable(cause, 'unknown');
    this.#doubt = doubt;
    this.#logger.error({ err: cause }, 'writing to the Meta database failed');
    this.#reopening = this.#reopen();
    if (await this.#reopening) return;
    for (const { waiting } of doubt.answers) waiting.reject(this.#failure);
    this.#retryIn(FIRST_RETRY_MS);
  }

  #retryIn(delayMs: number): void {
    if (this.#closed || this.#isForAPerson) return;
    this.#retry = this.#clock.timer(delayMs, () => {
      this.#reopening = this.#reopen();
      void this.#reopening.then((done) => {
        if (!done) this.#retryIn(Math.min(2 * delayMs, MAX_RETRY_MS));
      });
    });
  }

  async #reopen(): Promise<boolean> {
    try {
      await probeWrites(this.#dir);
      if (this.#closed) return false;
      await this.#db.close();
      await this.#db.open();
      await this.#loadState();
    } catch (error) {
      // an open that failed may have found out more than the write: that a person is needed
      if (isStorageError(error, 'CORRUPT')) this.#failure = error;
      else if (isDamage(causeOf(error))) this.#failure = openError(error, this.#dir);
      else this.#failure = this.#unavailable(error, 'unknown');
      return false;
    }
    const doubt = this.#doubt;
    const cause = this.#failure?.cause;
    this.#doubt = undefined;
    this.#failure = undefined;
    this.#logger.info({ revision: this.#revision }, 'the Meta database takes writes again');
    if (doubt === undefined) return true;
    // where the callers have been told that the outcome is unknown, this only tells the watchers
    if (this.#revision === doubt.revision) this.#answer(doubt.answers);
    else for (const { waiting } of doubt.answers) waiting.reject(this.#unavailable(cause, 'none'));
    return true;
  }

  #unavailable(cause: unknown, outcome: 'none' | 'unknown'): StorageError {
    return new StorageError('META_UNAVAILABLE', 'writing to the Meta database failed', {
      cause,
      where: this.#dir,
      outcome,
      hint: 'Check the disk and its free space; the node goes on by itself once it can write',
    });
  }

  // ---- loading

  async #loadState(): Promise<void> {
    this.#results.clear();
    const revision = await this.#row('!revision');
    if (revision === undefined) throw this.#corrupt('the revision row is missing');
    await this.#loadLog(revision.revision);
    await this.#witness?.close();
    this.#witness = undefined;
    this.#witness = await Witness.open(this.#dir);
    const seen = await this.#witness.seen();
    if (seen > revision.revision)
      throw this.#corrupt(`it ends at commit ${revision.revision}, but commit ${seen} was acknowledged`);
    this.#revision = revision.revision;
  }

  /** The log of recent commits must be whole: a revision that is missing was lost to damage. */
  async #loadLog(newest: number): Promise<void> {
    let expected = Math.max(1, newest - KEPT_IDS + 1);
    for await (const [key, bytes] of this.#db.iterator({ gte: 'l/', lt: 'l0' })) {
      const row = this.#open(key, bytes);
      if (row.revision !== expected) throw this.#corrupt(`commit ${expected} is missing`);
      expected++;
      this.#remember(Buffer.from(row.value).toString(), { ok: true, revision: row.revision });
    }
    if (expected !== newest + 1) throw this.#corrupt(`commits ${expected} to ${newest} are missing`);
  }

  #remember(id: string, result: MetaCommitResult): void {
    this.#results.set(id, result);
    if (this.#results.size > KEPT_IDS) {
      const oldest = this.#results.keys().next().value;
      if (oldest !== undefined) this.#results.delete(oldest);
    }
  }

  // ---- reading

  async #row(key: string): Promise<SealedRow | undefined> {
    const bytes = await this.#guarded(() => this.#db.get(key));
    return bytes === undefined ? undefined : this.#open(key, bytes);
  }

  async #guarded<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      if (isDamage(cause)) throw this.#corrupt('LevelDB reports damage', cause);
      throw new StorageError('META_UNAVAILABLE', 'reading from the Meta database failed', {
        cause,
        where: this.#dir,
        outcome: 'none',
      });
    }
  }

  #open(key: string, bytes: Uint8Array): SealedRow {
    const row = unseal(key, bytes);
    if (row === undefined) throw this.#corrupt(`the row ${key} is damaged`);
    return row;
  }

  #refusal(id: string): StorageError | undefined {
    if (this.#closed) return this.#closedError();
    if (this.#failure === undefined || this.#isForAPerson) return this.#failure;
    const inDoubt = this.#doubt?.answers.some(({ waiting }) => waiting.mutation.id === id) ?? false;
    return inDoubt ? this.#failure : this.#unavailable(this.#failure.cause, 'none');
  }

  /** What is here is not what was acknowledged: neither to be read nor to be written. */
  get #isForAPerson(): boolean {
    return this.#failure?.code === 'CORRUPT';
  }

  #checkReadable(): void {
    if (this.#closed) throw this.#closedError();
    if (this.#failure !== undefined && this.#isForAPerson) throw this.#failure;
  }

  #closedError(): StorageError {
    return new StorageError('CLOSED', 'Meta is closed', { where: this.#dir });
  }

  #corrupt(what: string, cause?: unknown): StorageError {
    return new StorageError('CORRUPT', `Meta database: ${what}`, { where: this.#dir, cause, hint: RESTORE });
  }
}

const RESTORE = 'Restore the directory from a backup; the segments themselves are not touched';

function openError(error: unknown, dir: string): StorageError {
  const cause = causeOf(error);
  if (codeOf(cause) === 'LEVEL_LOCKED')
    return new StorageError('DIRECTORY_LOCKED', 'another process has the Meta database open', {
      where: dir,
      cause,
      hint: 'Stop the other node, or give this one a data directory of its own',
    });
  if (isDiskFull(error))
    return new StorageError('DISK_FULL', 'the disk of the Meta database has no room left', {
      where: dir,
      cause,
      hint: 'Free space there, then start again',
    });
  if (isDamage(cause))
    return new StorageError('CORRUPT', 'Meta database: LevelDB can not open it', { where: dir, cause, hint: RESTORE });
  return new StorageError('IO_ERROR', 'the Meta database can not be opened', { where: dir, cause, outcome: 'none' });
}

/** LevelDB tells of a manifest that is gone and of a table that was cut short as errors of the disk. */
function isDamage(error: unknown): boolean {
  if (codeOf(error) === 'LEVEL_CORRUPTION') return true;
  if (!(error instanceof Error) || codeOf(error) !== 'LEVEL_IO_ERROR') return false;
  // LOCK and LOG are made at each open: without them the directory itself is not there
  return /\.ldb: Invalid argument$|(?<!\/LOCK|\/LOG): No such file or directory$/.test(error.message);
}

/** LevelDB's own error: `level` wraps that of an open. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function pad(revision: number): string {
  return String(revision).padStart(16, '0');
}
