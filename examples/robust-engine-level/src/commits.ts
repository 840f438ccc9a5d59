import { type EngineContext, StorageError } from '@robustmq/core';
import { type Database, typed } from './database.ts';
import type { Draft } from './draft.ts';
import type { Settings } from './settings.ts';

interface Work {
  readonly bytes: number;
  readonly run: (draft: Draft) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** The only way to change anything. Works that come while a commit is under way share the next one: one batch, one sync. */
export class Commits {
  readonly #ctx: EngineContext<Settings>;
  readonly #dir: string;
  readonly #database: Database;
  #pending: Work[] = [];
  #writing: Promise<void> | undefined;
  /** Bytes that may be written before the disk is asked for its free space again. */
  #room = 0;
  #status: 'ok' | 'full' | 'failed' = 'ok';
  #closed = false;

  constructor(ctx: EngineContext<Settings>, dir: string, database: Database) {
    this.#ctx = ctx;
    this.#dir = dir;
    this.#database = database;
  }

  /**
   * @param bytes of data; 0 for what must be possible on a full disk
   * @returns what `run` returned, once it is durable and can be seen. What `run` throws was not done
   */
  submit<T>(bytes: number, run: (draft: Draft) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) reject(new StorageError('CLOSED', 'the engine is closed'));
      else this.#pending.push({ bytes, run, resolve, reject });
      this.#writing ??= this.#writePending();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
  }

  async #writePending(): Promise<void> {
    // what is asked for in this turn shares the commit
    await null;
    while (this.#pending.length > 0) {
      const group = this.#pending;
      this.#pending = [];
      const settle: (() => void)[] = [];
      try {
        if (this.#database.broken) await this.#mend();
        const draft = this.#database.draft();
        const room = await this.#hasRoom(group);
        for (const work of group) settle.push(this.#run(work, draft, room));
        await this.#database.commit(draft);
        for (const each of settle) each();
        this.#report(room ? 'ok' : 'full');
      } catch (error) {
        // what came meanwhile was meant to lie behind this group
        for (const { reject } of [...group, ...this.#pending.splice(0)]) reject(typed(error, this.#dir));
      }
    }
    this.#writing = undefined;
  }

  /** @returns what tells the caller, once it is durable */
  #run({ bytes, run, resolve, reject }: Work, draft: Draft, room: boolean): () => void {
    if (bytes > 0 && !room) return () => reject(new StorageError('DISK_FULL', 'no room', { where: this.#dir }));
    const before = draft.changes.length;
    try {
      const value = run(draft) as never; // `submit` has put both together
      return () => resolve(value);
    } catch (error) {
      draft.changes.length = before;
      return () => reject(error);
    }
  }

  async #mend(): Promise<void> {
    try {
      await this.#database.reopen();
      this.#report('ok');
    } catch (error) {
      this.#report('failed');
      throw error;
    }
  }

  /** Refuses data before any of it is written, while there is still room to seal, recover and delete. */
  async #hasRoom(group: readonly Work[]): Promise<boolean> {
    const bytes = group.reduce((sum, work) => sum + work.bytes, 0);
    if (bytes > this.#room) {
      const { reserveBytes } = this.#ctx.config;
      const free = await this.#ctx.fs.freeBytes(this.#dir).catch(() => Number.POSITIVE_INFINITY); // the write will tell
      this.#room = Math.min(free - reserveBytes, Math.max(bytes, reserveBytes));
    }
    if (bytes > this.#room) return bytes === 0;
    this.#room -= bytes;
    return true;
  }

  #report(status: 'ok' | 'full' | 'failed'): void {
    if (status === this.#status) return;
    this.#status = status;
    const details = {
      ok: '',
      full: `free space on the disk of ${this.#dir}, or shorten retention`,
      failed: `the database in ${this.#dir} can not be opened again; look at the disk, and start the node again`,
    };
    this.#ctx.health({ status, detail: details[status] });
  }
}
