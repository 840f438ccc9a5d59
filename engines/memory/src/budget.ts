import { type EngineHealth, type Metrics, StorageError } from '@robustmq/core';

/** Above this share of the limit core is asked to drop old segments; below the other one, all is well again. */
const PRESSURE_FROM = 0.85;
const PRESSURE_UNTIL = 0.75;

interface Waiter {
  readonly bytes: number;
  readonly owner: object;
  readonly resolve: () => void;
  readonly reject: (error: StorageError) => void;
}

/** The bytes of one instance: who takes them, who waits for them, and when core hears of it. */
export class Budget {
  readonly limit: number;
  readonly #headroom: number;
  readonly #health: (report: EngineHealth) => void;
  #used = 0;
  #pressed = false;
  #waiting: Waiter[] = [];

  /** `headroom`: the most that is taken beyond what was asked for, since memory comes in slabs. */
  constructor(
    limit: number,
    headroom: number,
    instance: string,
    health: (report: EngineHealth) => void,
    metrics: Metrics,
  ) {
    this.limit = limit;
    this.#headroom = headroom;
    this.#health = health;
    metrics.gauge('robust_memory_engine_used_bytes', 'Bytes of slabs that segments hold', () => this.#used, {
      instance,
    });
    metrics.gauge('robust_memory_engine_limit_bytes', 'Bytes that segments may hold', () => this.limit, { instance });
  }

  get used(): number {
    return this.#used;
  }

  hasRoom(bytes: number): boolean {
    return this.#used + bytes + this.#headroom <= this.limit;
  }

  take(bytes: number): void {
    this.#used += bytes;
    this.#report();
  }

  give(bytes: number): void {
    this.#used -= bytes;
    this.#report();
    this.#wake();
  }

  /** Those who wait are served in the order of asking. */
  waitFor(bytes: number, owner: object): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ bytes, owner, resolve, reject }));
  }

  /** Ends the waits of one owner, or of all. */
  refuseWaiters(error: StorageError, owner?: object): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = owner === undefined ? [] : waiting.filter((waiter) => waiter.owner !== owner);
    for (const waiter of waiting) if (owner === undefined || waiter.owner === owner) waiter.reject(error);
    // a large wait that is gone no longer holds back the small ones behind it
    this.#wake();
  }

  full(where: string): StorageError {
    return new StorageError('BACKPRESSURE', `The memory of the instance is used up (${this.limit} bytes)`, {
      where,
      hint: 'Raise `limitBytes`, shorten retention, or move topics to another engine',
    });
  }

  #wake(): void {
    while (this.#waiting[0] !== undefined && this.hasRoom(this.#waiting[0].bytes)) this.#waiting.shift()?.resolve();
  }

  #report(): void {
    const pressed = this.#used > this.limit * (this.#pressed ? PRESSURE_UNTIL : PRESSURE_FROM);
    if (pressed === this.#pressed) return;
    this.#pressed = pressed;
    this.#health(
      pressed
        ? { status: 'pressure', detail: `${this.#used} of ${this.limit} bytes are used: the oldest segments go` }
        : { status: 'ok', detail: '' },
    );
  }
}
