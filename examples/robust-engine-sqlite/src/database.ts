import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { type EngineContext, StorageError } from '@robustmq/core';
import type { Settings } from './settings.ts';
import type { Answer, Done, Failure, FromWorker, Group, Work } from './work.ts';

interface Pending {
  readonly work: Work;
  readonly bytes: readonly Uint8Array[];
  readonly resolve: (done: Done) => void;
  readonly reject: (error: StorageError) => void;
}

/** What needs little room and must be possible on a full disk. */
const ALWAYS: ReadonlySet<Work['kind']> = new Set<Work['kind']>([
  'seal',
  'recover',
  'publish',
  'delete',
  'sweep',
  'prove',
]);

/** In the log of SQLite first, then in its file, and in the pages around it. */
const ROOM_FACTOR = 3;

/** Pages that the smallest of them changes. */
const WORK_BYTES = 16 * 1024;

/**
 * The way to the thread that writes. What comes while a group is on its way shares the next one: one transaction, one sync. What is read is
 * read here, by a connection of its own: with a write-ahead log readers never wait for the writer.
 */
export class Database {
  readonly #ctx: EngineContext<Settings>;
  readonly #dir: string;
  readonly #worker: Worker;
  readonly #exit: Promise<void>;
  readonly reader: DatabaseSync;
  readonly incarnation: string;
  #hear: ((message: FromWorker) => void) | undefined;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #closing = false;
  /** Bytes that may be written before the disk is asked for its free space again. */
  #room = 0;
  #status: 'ok' | 'full' | 'failed' = 'ok';
  #idle: { cancel(): void } | undefined;
  #proven = true;
  #swept = false;
  /** Copies on their way in. */
  readonly #attempts = new Set<number>();

  static async open(ctx: EngineContext<Settings>, dir: string): Promise<Database> {
    const worker = new Worker(
      new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url),
      {
        workerData: { dir, incarnation: ctx.random.uuid() },
      },
    );
    const exit = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const first = await new Promise<FromWorker>((resolve) => {
      worker.once('message', resolve);
      worker.once('error', (error) => resolve({ failed: { code: 'IO_ERROR', detail: String(error) } }));
    });
    if ('opened' in first) return new Database(ctx, dir, worker, exit, first.opened.incarnation);
    await exit;
    throw 'failed' in first ? errorOf(first.failed, dir) : new Error('the thread has answered before it was asked');
  }

  private constructor(
    ctx: EngineContext<Settings>,
    dir: string,
    worker: Worker,
    exit: Promise<void>,
    incarnation: string,
  ) {
    this.#ctx = ctx;
    this.#dir = dir;
    this.#worker = worker;
    this.#exit = exit;
    this.incarnation = incarnation;
    this.reader = new DatabaseSync(`${dir}/segments.db`, { readOnly: true, timeout: 10_000 });
    worker.on('message', (message: FromWorker) => this.#hear?.(message));
    worker.on('error', (error) => this.#gone(String(error)));
    void exit.then(() => this.#gone('the thread that writes has ended'));
    this.#rest();
  }

  /** Resolves once it is committed and synced. @throws what was refused (none), DISK_FULL (none), IO_ERROR (unknown) */
  run(work: Work, bytes: readonly Uint8Array[] = []): Promise<Done> {
    return new Promise((resolve, reject) => {
      if (this.#closing) reject(new StorageError('CLOSED', 'the engine is closed', { outcome: 'none' }));
      else {
        this.#pending.push({ work, bytes, resolve, reject });
        this.#writing ??= this.#writePending();
      }
    });
  }

  /** Begins a copy: its batches are swept if it comes to no end. */
  async attempt<T>(run: (key: number) => Promise<T>): Promise<T> {
    const { key } = await this.run({ kind: 'begin' });
    this.#attempts.add(key);
    try {
      return await run(key);
    } finally {
      this.#attempts.delete(key);
      this.#swept = false;
      if (this.#writing === undefined) this.#rest();
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#writing;
    this.#idle?.cancel();
    this.reader.close();
    this.#worker.postMessage('close');
    await this.#exit;
  }

  async #writePending(): Promise<void> {
    this.#idle?.cancel();
    // what is asked for in this turn shares the group
    await null;
    while (this.#pending.length > 0) {
      const group = await this.#withRoom(this.#pending.splice(0));
      if (group.length === 0) continue;
      const answered = await this.#ask(group);
      if ('answers' in answered) this.#settle(group, answered.answers);
      else if ('failed' in answered) this.#fail(group, answered.failed);
    }
    this.#writing = undefined;
    this.#rest();
  }

  #settle(group: readonly Pending[], answers: readonly Answer[]): void {
    if (this.#status === 'failed') this.#report('ok', '');
    for (const [i, { work, resolve, reject }] of group.entries()) {
      const answer = answers[i];
      if (answer === undefined || 'code' in answer) {
        const { code = 'IO_ERROR', detail = 'no answer' } = answer ?? {};
        const where = 'id' in work ? work.id : this.#dir;
        reject(new StorageError(code, detail, { where, outcome: 'none' }));
      } else resolve(answer);
      if (work.kind === 'delete') this.#swept = false;
      if (work.kind === 'sweep' && answer !== undefined) this.#swept = 'end' in answer && answer.end === 0;
      this.#proven = work.kind === 'prove';
    }
  }

  /** What came meanwhile was meant to lie behind this group. */
  #fail(group: readonly Pending[], failed: Failure): void {
    this.#report('failed', `the database in ${this.#dir}: ${failed.detail}`);
    for (const { reject } of [...group, ...this.#pending.splice(0)]) reject(errorOf(failed, this.#dir));
  }

  #ask(group: readonly Pending[]): Promise<FromWorker> {
    const message = pack(group);
    return new Promise((resolve) => {
      this.#hear = resolve;
      this.#worker.postMessage(message, [message.bytes.buffer]);
    });
  }

  #gone(detail: string): void {
    this.#hear?.({ failed: { code: 'IO_ERROR', detail } });
    if (this.#closing) return;
    this.#closing = true;
    this.#report('failed', `${detail}: start the node again`);
  }

  /** Refuses the data of a group before any of it is written, while there is still room to seal, recover and delete. */
  async #withRoom(group: Pending[]): Promise<Pending[]> {
    const data = group.filter(({ work }) => !ALWAYS.has(work.kind));
    const wanted = data.reduce((sum, { bytes }) => sum + lengthOf(bytes) + WORK_BYTES, 0) * ROOM_FACTOR;
    if (wanted > this.#room) {
      const { reserveBytes } = this.#ctx.config;
      const free = await this.#ctx.fs.freeBytes(this.#dir).catch(() => Number.POSITIVE_INFINITY); // the write will tell
      this.#room = Math.min(free - reserveBytes, Math.max(wanted, reserveBytes));
    }
    this.#room -= wanted;
    if (this.#room >= 0 || data.length === 0) {
      if (this.#status === 'full' && data.length > 0) this.#report('ok', '');
      return group;
    }
    this.#report('full', `free space on the disk of ${this.#dir}, or shorten retention`);
    const all = [...group, ...this.#pending.splice(0)];
    for (const { work, reject } of all)
      if (!ALWAYS.has(work.kind))
        reject(
          new StorageError('DISK_FULL', 'the disk has no room for more data', { where: this.#dir, outcome: 'none' }),
        );
    return all.filter(({ work }) => ALWAYS.has(work.kind));
  }

  #report(status: 'ok' | 'full' | 'failed', detail: string): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#ctx.health({ status, detail });
  }

  /** In a quiet moment: what was deleted goes, and what was committed is noted outside the database. */
  #rest(): void {
    this.#idle?.cancel();
    if (this.#closing || (this.#proven && this.#swept)) return;
    this.#idle = this.#ctx.clock.timer(this.#ctx.config.proofIdleMs, () => {
      if (this.#writing !== undefined) return;
      const work: Work = this.#proven ? { kind: 'sweep', not: [...this.#attempts] } : { kind: 'prove' };
      this.run(work).catch(() => {});
    });
  }
}

function pack(group: readonly Pending[]): Group & { readonly bytes: Uint8Array<ArrayBuffer> } {
  const bytes = new Uint8Array(group.reduce((sum, each) => sum + lengthOf(each.bytes), 0));
  let at = 0;
  for (const { work, bytes: parts } of group) {
    if ('at' in work) work.at = at;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
  }
  return { works: group.map(({ work }) => work), bytes };
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function errorOf({ code, detail }: Failure, where: string): StorageError {
  const hint = code === 'CORRUPT' ? { hint: 'Restore the directory from a copy' } : {};
  return new StorageError(code, `SQLite: ${detail}`, { where, ...hint });
}
