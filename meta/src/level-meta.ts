/**
 * Meta for a single node, durable on `level`. Every commit is one synchronous, atomic LevelDB batch. Commits that arrive while one is
 * being written share the next batch.
 *
 * Keys in the database: `d/<key>` a row; `l/<revision>` the log of recent commits (idempotency id and result), which is also how a
 * commit that LevelDB lost to a damaged file is noticed; `!format`, `!revision`. Every value carries a CRC32C over its key and itself, since LevelDB
 * skips damaged log records and does not check blocks on plain reads. Beside the database lies `WITNESS`, the newest revision, written without a
 * sync after each commit: LevelDB takes a damaged block for the end of its log, which would else be a silent loss.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import {
  checkMutation,
  META_LIMITS,
  type Meta,
  type MetaCommitResult,
  type MetaEntry,
  type MetaEvent,
  type MetaMutation,
  StorageError,
  WatchHub,
} from '@robustmq/core';
import { Level } from 'level';

/** Of the database. Written once; an older build refuses a newer one. */
const FORMAT = 1;
/** Commits whose ids are remembered. */
const KEPT_IDS = 4096;
/** Mutations written in one batch. */
const MAX_GROUP = 256;

export interface LevelMeta extends Meta {
  close(): Promise<void>;
}

/** Opens or creates the database in `dir`. @throws DIRECTORY_LOCKED, CORRUPT, FORMAT_TOO_NEW, IO_ERROR */
export async function openLevelMeta(options: { readonly dir: string }): Promise<LevelMeta> {
  const db = new Level<string, Uint8Array>(options.dir, { valueEncoding: 'view' });
  try {
    await db.open();
  } catch (error) {
    throw openError(error, options.dir);
  }
  const opened = new LevelMetaStore(db, options.dir);
  try {
    await opened.load();
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

interface Waiting {
  readonly mutation: MetaMutation;
  readonly resolve: (result: MetaCommitResult) => void;
  readonly reject: (error: unknown) => void;
}

class LevelMetaStore implements LevelMeta {
  readonly #db: Level<string, Uint8Array>;
  readonly #dir: string;
  #witness: FileHandle | undefined;
  #revision = 0;
  #hub = new WatchHub(0);
  /** Ids of recent commits, oldest first. */
  readonly #results = new Map<string, MetaCommitResult>();
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #failed: StorageError | undefined;
  #closed = false;

  constructor(db: Level<string, Uint8Array>, dir: string) {
    this.#db = db;
    this.#dir = dir;
  }

  async load(): Promise<void> {
    const format = await this.#read('!format');
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
    const revision = await this.#read('!revision');
    if (revision === undefined) throw this.#corrupt('the revision row is missing');
    this.#revision = revision.revision;
    await this.#loadLog();
    await this.#loadWitness();
    this.#hub = new WatchHub(this.#revision);
  }

  async get(key: string): Promise<MetaEntry | undefined> {
    const row = await this.#read(`d/${key}`);
    return row === undefined ? undefined : { key, value: row.value, revision: row.revision };
  }

  async list(options: { prefix: string; after?: string; limit?: number }): ReturnType<Meta['list']> {
    this.#checkOpen();
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
      this.#checkOpen();
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
    await this.#writing;
    this.#hub.close();
    await this.#witness?.close();
    await this.#db.close();
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // whoever commits in the same turn shares the batch
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, MAX_GROUP);
      try {
        await this.#write(group);
      } catch (cause) {
        // LevelDB does not recover from a failed log write: what is on disk is known only after the next open
        this.#failed ??= new StorageError('META_UNAVAILABLE', 'writing to the Meta database failed', {
          cause,
          where: this.#dir,
          hint: 'Check the disk, then restart the node',
        });
        for (const waiting of group) waiting.reject(this.#failed);
      }
    }
    this.#writing = undefined;
  }

  /** Decides the group's mutations in order against the rows they see, writes all that hold as one batch, then answers. */
  async #write(group: readonly Waiting[]): Promise<void> {
    const overlay = new Map<string, number>();
    const answers: { readonly waiting: Waiting; readonly result: MetaCommitResult; readonly events: MetaEvent[] }[] =
      [];
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
      const broken = await this.#brokenGuard(mutation, overlay);
      if (broken !== undefined) {
        // not remembered: a guard that failed changed nothing, and a resend may judge again
        answers.push({ waiting, result: broken, events: [] });
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
    if (revision > this.#revision) {
      batch.put('!revision', seal('!revision', revision, new Uint8Array(0)));
      await batch.write({ sync: true });
      this.#revision = revision;
      await this.#writeWitness();
      for (const [id, result] of fresh) this.#remember(id, result);
    } else {
      await batch.close();
    }
    for (const { result, events } of answers)
      if (result.ok && events.length > 0) this.#hub.publish(result.revision, events);
    for (const { waiting, result } of answers) waiting.resolve(result);
  }

  async #brokenGuard(
    mutation: MetaMutation,
    overlay: ReadonlyMap<string, number>,
  ): Promise<MetaCommitResult | undefined> {
    for (const { key, revision: wanted } of mutation.guards ?? []) {
      const revision = overlay.get(key) ?? (await this.#read(`d/${key}`))?.revision ?? 0;
      if (revision !== wanted) return { ok: false, key, revision };
    }
    return undefined;
  }

  /** The log of recent commits must be whole: a revision that is missing was lost to damage. */
  async #loadLog(): Promise<void> {
    let expected = Math.max(1, this.#revision - KEPT_IDS + 1);
    for await (const [key, bytes] of this.#db.iterator({ gte: 'l/', lt: 'l0' })) {
      const row = this.#open(key, bytes);
      if (row.revision !== expected) throw this.#corrupt(`commit ${expected} is missing`);
      expected++;
      this.#remember(Buffer.from(row.value).toString(), { ok: true, revision: row.revision });
    }
    if (expected !== this.#revision + 1) throw this.#corrupt(`commits ${expected} to ${this.#revision} are missing`);
  }

  async #loadWitness(): Promise<void> {
    const path = join(this.#dir, 'WITNESS');
    await (await open(path, 'a')).close(); // creates it
    const witness = await open(path, 'r+');
    this.#witness = witness;
    const bytes = Buffer.alloc(64);
    const { bytesRead } = await witness.read(bytes, 0, bytes.length, 0);
    // a witness that can't be read proves nothing: it is older than the first commit, or was being written at the moment of a power loss
    const seen = unseal('WITNESS', bytes.subarray(0, bytesRead));
    if (seen !== undefined && seen.revision > this.#revision)
      throw this.#corrupt(`it ends at commit ${this.#revision}, but commit ${seen.revision} was acknowledged`);
  }

  async #writeWitness(): Promise<void> {
    await this.#witness?.write(seal('WITNESS', this.#revision, new Uint8Array(0)), 0, 14, 0);
  }

  #remember(id: string, result: MetaCommitResult): void {
    this.#results.set(id, result);
    if (this.#results.size > KEPT_IDS) {
      const oldest = this.#results.keys().next().value;
      if (oldest !== undefined) this.#results.delete(oldest);
    }
  }

  async #read(key: string): Promise<{ revision: number; value: Uint8Array } | undefined> {
    this.#checkOpen();
    const bytes = await this.#guarded(() => this.#db.get(key));
    return bytes === undefined ? undefined : this.#open(key, bytes);
  }

  async #guarded<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      if (codeOf(cause) === 'LEVEL_CORRUPTION') throw this.#corrupt('LevelDB reports damage', cause);
      throw new StorageError('META_UNAVAILABLE', 'reading from the Meta database failed', {
        cause,
        where: this.#dir,
        outcome: 'none',
      });
    }
  }

  #open(key: string, bytes: Uint8Array): { revision: number; value: Uint8Array } {
    const row = unseal(key, bytes);
    if (row === undefined) throw this.#corrupt(`the row ${key} is damaged`);
    return row;
  }

  #checkOpen(): void {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#closed) throw new StorageError('CLOSED', 'Meta is closed', { where: this.#dir });
  }

  #corrupt(what: string, cause?: unknown): StorageError {
    return new StorageError('CORRUPT', `Meta database: ${what}`, { where: this.#dir, cause, hint: RESTORE });
  }
}

const RESTORE = 'Restore the directory from a backup; the segments themselves are not touched';

/** magic `M1`, CRC32C of key, revision and value, revision as 64 bits, value. */
function seal(key: string, revision: number, value: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(14 + value.length);
  bytes.write('M1', 0, 'latin1');
  bytes.writeBigUInt64BE(BigInt(revision), 6);
  bytes.set(value, 14);
  bytes.writeUInt32BE(crc32c(bytes.subarray(6), crc32c(key)) >>> 0, 2);
  return bytes;
}

function unseal(key: string, sealed: Uint8Array): { revision: number; value: Uint8Array } | undefined {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < 14 || bytes.toString('latin1', 0, 2) !== 'M1') return undefined;
  if (bytes.readUInt32BE(2) !== crc32c(bytes.subarray(6), crc32c(key)) >>> 0) return undefined;
  return { revision: Number(bytes.readBigUInt64BE(6)), value: bytes.subarray(14) };
}

function openError(error: unknown, dir: string): StorageError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (codeOf(cause) === 'LEVEL_LOCKED')
    return new StorageError('DIRECTORY_LOCKED', 'another process has the Meta database open', {
      where: dir,
      cause,
      hint: 'Stop the other node, or give this one a data directory of its own',
    });
  if (codeOf(cause) === 'LEVEL_CORRUPTION')
    return new StorageError('CORRUPT', 'Meta database: LevelDB can not open it', { where: dir, cause, hint: RESTORE });
  return new StorageError('IO_ERROR', 'the Meta database can not be opened', { where: dir, cause, outcome: 'none' });
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function pad(revision: number): string {
  return String(revision).padStart(16, '0');
}
