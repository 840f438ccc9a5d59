import { type Clock, describeError, type EngineHealth, type StorageError, type Timer } from '@robustmq/core';
import type { StoreTrouble } from './port.ts';

/** Requests that fail and are well again together: who may not write may still read. */
export type Access = 'read' | 'write' | 'list' | 'delete';

export interface StoreHealthOptions {
  readonly clock: Clock;
  report(health: EngineHealth): void;
  /** Makes one cheap request of this kind; resolves when the store served it. */
  check(access: Access): Promise<unknown>;
}

const FIRST_CHECK_MS = 2000;
const MAX_CHECK_MS = 60_000;

/** About the store, not about one object or one request. */
const TROUBLES: ReadonlySet<StoreTrouble> = new Set([
  'slow-down',
  'unreachable',
  'timeout',
  'server',
  'not-active',
  'read-only',
  'full',
  'denied',
  'credentials',
  'expired',
  'clock-skew',
  'gone',
  'no-bucket',
  'wrong-region',
  'refused',
]);

/** What is known of the store from its answers. As long as something is wrong it is asked now and then, so that a node without work notices too when it is over. */
export class StoreHealth {
  readonly #options: StoreHealthOptions;
  readonly #wrong = new Map<Access, StorageError>();
  #told: string | undefined;
  #timer: Timer | undefined;
  #checking = false;
  #nextMs = FIRST_CHECK_MS;
  #closed = false;

  constructor(options: StoreHealthOptions) {
    this.#options = options;
  }

  isWell(access: Access): void {
    if (!this.#wrong.delete(access)) return;
    this.#tell();
    // what else was wrong may be well, too, and nobody may ask for long
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#nextMs = FIRST_CHECK_MS;
    this.#arm();
  }

  /** A request has failed for good. */
  isWrong(access: Access, trouble: StoreTrouble, error: StorageError): void {
    if (!TROUBLES.has(trouble) || this.#closed) return;
    this.#wrong.set(access, error);
    this.#tell();
    this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #tell(): void {
    const errors = [...this.#wrong.values()];
    const [worst = errors[0]] = errors.filter(({ code }) => code !== 'DISK_FULL');
    const health: EngineHealth =
      worst === undefined
        ? { status: 'ok', detail: '' }
        : { status: worst.code === 'DISK_FULL' ? 'full' : 'failed', detail: describeError(worst) };
    const told = `${health.status} ${health.detail}`;
    if (told === this.#told) return;
    this.#told = told;
    if (health.status === 'ok') this.#nextMs = FIRST_CHECK_MS;
    this.#options.report(health);
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#checking || this.#closed || this.#wrong.size === 0) return;
    this.#timer = this.#options.clock.timer(this.#nextMs, () => {
      this.#timer = undefined;
      this.#nextMs = Math.min(2 * this.#nextMs, MAX_CHECK_MS);
      void this.#check();
    });
  }

  async #check(): Promise<void> {
    this.#checking = true;
    // what comes of it is told by the requests themselves
    await Promise.allSettled([...this.#wrong.keys()].map((access) => this.#options.check(access)));
    this.#checking = false;
    this.#arm();
  }
}
