import { type Clock, StorageError, type Timer } from '@robustmq/core';
import type { Lane } from './steady-store.ts';

/** What a request counts as on the bill. Deleting and aborting is free. */
export type RequestKind = 'put' | 'get';

export interface BudgetSettings {
  readonly putsPerHour?: number;
  readonly getsPerHour?: number;
}

const HOUR_MS = 3_600_000;
/** This share of an hour's requests may be made at once, after a time without any. */
const BURST = 0.1;
/** Housekeeping leaves this share of the burst to others. */
const KEPT_FROM_UPKEEP = 0.25;
const LANES: readonly Lane[] = ['hot', 'cold', 'upkeep'];

/**
 * Requests that may be made. In no window of an hour more are let through than are set: what may come at once and what is added in an hour
 * make up the budget together. Who waits is served in order, live data before archived data before housekeeping.
 */
export class RequestBudget {
  readonly #buckets: Readonly<Record<RequestKind, Bucket | undefined>>;

  constructor(settings: BudgetSettings, clock: Clock) {
    const bucket = (perHour: number | undefined) => (perHour === undefined ? undefined : new Bucket(perHour, clock));
    this.#buckets = { put: bucket(settings.putsPerHour), get: bucket(settings.getsPerHour) };
  }

  /** Resolves when the request may be made; it counts from then on. @throws ABORTED, CLOSED */
  take(kind: RequestKind, lane: Lane, signal?: AbortSignal): Promise<void> | undefined {
    return this.#buckets[kind]?.take(lane, signal);
  }

  /** How long a request of live data would wait now, in ms; 0: not at all. */
  delayMs(kind: RequestKind): number {
    return this.#buckets[kind]?.delayMs() ?? 0;
  }

  /** Requests that may be made at once; Infinity without a budget. */
  left(kind: RequestKind): number {
    return this.#buckets[kind]?.left() ?? Number.POSITIVE_INFINITY;
  }

  close(): void {
    for (const bucket of Object.values(this.#buckets)) bucket?.close();
  }
}

interface Waiting {
  readonly lane: Lane;
  resolve(): void;
  reject(error: StorageError): void;
}

class Bucket {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perMs: number;
  readonly #waiting: Record<Lane, Waiting[]> = { hot: [], cold: [], upkeep: [] };
  #tokens: number;
  #at: number;
  #timer: Timer | undefined;
  #closed = false;

  constructor(perHour: number, clock: Clock) {
    this.#clock = clock;
    this.#burst = Math.max(1, Math.floor(perHour * BURST));
    this.#perMs = (perHour - this.#burst) / HOUR_MS;
    this.#tokens = this.#burst;
    this.#at = clock.monotonic();
  }

  take(lane: Lane, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#closed) return Promise.reject(closed());
    this.#refill();
    if (this.#tokens >= this.#least(lane) && this.#isNext(lane)) {
      this.#tokens--;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiting[lane] = this.#waiting[lane].filter((one) => one !== waiting);
        reject(new StorageError('ABORTED', 'The request was given up before the budget allowed it'));
      };
      const leave = (): void => signal?.removeEventListener('abort', giveUp);
      const waiting: Waiting = {
        lane,
        resolve: () => {
          leave();
          resolve();
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiting[lane].push(waiting);
      this.#arm();
    });
  }

  delayMs(): number {
    this.#refill();
    const missing = this.#least('hot') + this.#waiting.hot.length - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil(missing / this.#perMs);
  }

  left(): number {
    this.#refill();
    return Math.floor(this.#tokens);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const lane of LANES) for (const { reject } of this.#waiting[lane].splice(0)) reject(closed());
  }

  /** Tokens that must be there for one of this lane to be taken. */
  #least(lane: Lane): number {
    return lane === 'upkeep' ? 1 + Math.floor(this.#burst * KEPT_FROM_UPKEEP) : 1;
  }

  #isNext(lane: Lane): boolean {
    return LANES.slice(0, LANES.indexOf(lane) + 1).every((before) => this.#waiting[before].length === 0);
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
  }

  #arm(): void {
    const lane = LANES.find((one) => this.#waiting[one].length > 0);
    if (this.#timer !== undefined || lane === undefined || this.#closed) return;
    const delay = Math.max(0, (this.#least(lane) - this.#tokens) / this.#perMs);
    this.#timer = this.#clock.timer(Math.ceil(delay), () => {
      this.#timer = undefined;
      this.#serve();
      this.#arm();
    });
  }

  #serve(): void {
    this.#refill();
    for (const lane of LANES) {
      while (this.#waiting[lane].length > 0 && this.#tokens >= this.#least(lane)) {
        this.#tokens--;
        this.#waiting[lane].shift()?.resolve();
      }
      // a later lane never goes first
      if (this.#waiting[lane].length > 0) return;
    }
  }
}

function closed(): StorageError {
  return new StorageError('CLOSED', 'The engine is closed', { outcome: 'none' });
}
