import type { Deadlines, Expiring } from './deadlines.ts';

/** The waiters of one shard. */
export class WaitSet {
  readonly #waiters = new Set<Waiter>();

  get size(): number {
    return this.#waiters.size;
  }

  add(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  delete(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /** Wakes all: each looks for itself whether there is something for it. */
  wake(): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of [...this.#waiters]) waiter.expire();
  }
}

/** One call that waits on one or more shards: ends by a wake, by its deadline or by its signal, whichever is first. */
export class Waiter implements Expiring {
  readonly done: Promise<void>;
  readonly #sets: readonly WaitSet[];
  readonly #deadlines: Deadlines;
  readonly #signal: AbortSignal | undefined;
  readonly #tick: number | undefined;
  #resolve: (() => void) | undefined;

  constructor(sets: readonly WaitSet[], deadlines: Deadlines, maxWaitMs: number, signal: AbortSignal | undefined) {
    this.#sets = sets;
    this.#deadlines = deadlines;
    this.#signal = signal;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const set of sets) set.add(this);
    this.#tick = Number.isFinite(maxWaitMs) ? deadlines.add(this, maxWaitMs) : undefined;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted) this.expire();
  }

  expire(): void {
    if (this.#resolve === undefined) return;
    for (const set of this.#sets) set.delete(this);
    if (this.#tick !== undefined) this.#deadlines.remove(this, this.#tick);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#resolve();
    this.#resolve = undefined;
  }

  readonly #onAbort = (): void => this.expire();
}
