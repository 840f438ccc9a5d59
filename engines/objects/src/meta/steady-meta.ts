import {
  type Clock,
  isStorageError,
  type Meta,
  type MetaCommitResult,
  type MetaEntry,
  type MetaMutation,
  StorageError,
} from '@robustmq/core';

/** Mutations of one round trip: the port limits each of them, and asks for some at a time. */
const TOGETHER = 200;
const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 1000;

/**
 * Meta with patience: what came back unknown is sent again under the same id until it is known, or the engine closes. So a lost reply is
 * never taken for a refusal, and nobody deletes what may have become referenced.
 */
export class SteadyMeta {
  readonly #meta: Meta;
  readonly #clock: Clock;
  readonly #wakers = new Set<() => void>();
  #closed = false;

  constructor(meta: Meta, clock: Clock) {
    this.#meta = meta;
    this.#clock = clock;
  }

  get(key: string): Promise<MetaEntry | undefined> {
    return this.#again(() => this.#meta.get(key));
  }

  /** All rows with `prefix`, page by page: what changes meanwhile may be seen or not. */
  async *rows(prefix: string, after?: string): AsyncGenerator<MetaEntry> {
    for (let last = after; ; ) {
      const asked = { prefix, ...(last === undefined ? {} : { after: last }) };
      const page = await this.#again(() => this.#meta.list(asked));
      yield* page.entries;
      last = page.entries.at(-1)?.key;
      if (!page.more || last === undefined) return;
    }
  }

  commit(mutation: MetaMutation): Promise<MetaCommitResult> {
    return this.#again(() => this.#meta.commit(mutation));
  }

  async commitEach(mutations: readonly MetaMutation[]): Promise<MetaCommitResult[]> {
    const results: MetaCommitResult[] = [];
    for (let at = 0; at < mutations.length; at += TOGETHER) {
      const some = mutations.slice(at, at + TOGETHER);
      results.push(...(await this.#again(() => this.#meta.commitEach(some))));
    }
    return results;
  }

  /** What waits ends with CLOSED, outcome unknown. */
  close(): void {
    this.#closed = true;
    for (const wake of this.#wakers) wake();
  }

  async #again<T>(call: () => Promise<T>): Promise<T> {
    for (let delay = FIRST_RETRY_MS; ; delay = Math.min(2 * delay, MAX_RETRY_MS)) {
      if (this.#closed) throw closed();
      try {
        return await call();
      } catch (error) {
        if (this.#closed) throw closed(error);
        if (isStorageError(error) && !error.retryable) throw error;
        await this.#pause(delay);
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        this.#wakers.delete(wake);
        resolve();
      };
      const timer = this.#clock.timer(delayMs, wake);
      this.#wakers.add(wake);
    });
  }
}

function closed(cause?: unknown): StorageError {
  return new StorageError('CLOSED', 'The engine is closed', { outcome: 'unknown', cause });
}
