import { type Clock, StorageError, type Timer } from '@robustmq/core';
import { PROBE_REQUESTS } from './probe.ts';
import type { Lane } from './steady-store.ts';

/** What a request counts as on the bill. Deleting and aborting is free. */
export type RequestKind = 'put' | 'get';

export interface BudgetSettings {
  readonly putsPerHour?: number;
  readonly getsPerHour?: number;
}

const HOUR_MS = 3_600_000;
/** A request is on the bill when it arrives, this much later than it was let through at the most. */
const SLACK_MS = 60_000;
/** This share of an hour's requests may be made at once, after a time without any. */
const BURST = 0.1;
/**
 * What a process begins with, and no more: nobody tells it what the one before it has spent, and a node that starts again and again would have a
 * burst each time. For the probe, the mark of a new store and the first object; for reading the mark twice, and tries that fail meanwhile.
 */
export const START_REQUESTS: Readonly<Record<RequestKind, number>> = { put: PROBE_REQUESTS + 2, get: 8 };
/** Housekeeping leaves this share of the burst to others. */
const KEPT_FROM_UPKEEP = 0.25;
const LANES: readonly Lane[] = ['hot', 'cold', 'upkeep'];

/**
 * Requests that one process may make. In no window of an hour more arrive at the store than are set: what may come at once and what is added in an hour
 * make up the budget together. Each start within the hour may add `START_REQUESTS`, since a budget is not remembered. Who waits is served in order, live data before archived data before housekeeping.
 */
export class RequestBudget {
  readonly #buckets: Readonly<Record<RequestKind, Bucket | undefined>>;

  constructor(settings: BudgetSettings, clock: Clock) {
    const bucket = (perHour: number | undefined, atStart: number) =>
      perHour === undefined ? undefined : new Bucket(perHour, atStart, clock);
    this.#buckets = {
      put: bucket(settings.putsPerHour, START_REQUESTS.put),
      get: bucket(settings.getsPerHour, START_REQUESTS.get),
    };
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

  /** Requests that may be made at once after a time without any; Infinity without a budget. */
  burst(kind: RequestKind): number {
    return this.#buckets[kind]?.burst ?? Number.POSITIVE_INFINITY;
  }

  close(): void {
    for (const bucket of Object.values(this.#buckets)) bucket?.close();
  }
}

interface Waiting {
  resolve(): void;
  reject(error: StorageError): void;
}

class Bucket {
  readonly burst: number;
  readonly #clock: Clock;
  readonly #perMs: number;
  readonly #waiting: Readonly<Record<Lane, Set<Waiting>>> = { hot: new Set(), cold: new Set(), upkeep: new Set() };
  #tokens: number;
  #at: number;
  #timer: Timer | undefined;
  #closed = false;

  constructor(perHour: number, atStart: number, clock: Clock) {
    this.#clock = clock;
    this.burst = Math.max(1, Math.floor(perHour * BURST));
    this.#perMs = (perHour - this.burst) / (HOUR_MS + SLACK_MS);
    this.#tokens = Math.min(this.burst, atStart);
    this.#at = clock.monotonic();
  }

  take(lane: Lane, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#closed) return Promise.reject(closed());
    if (signal?.aborted === true) return Promise.reject(givenUp());
    this.#refill();
    if (this.#tokens >= this.#least(lane) && this.#isNext(lane)) {
      this.#tokens--;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const queue = this.#waiting[lane];
      const leave = (): void => {
        queue.delete(waiting);
        signal?.removeEventListener('abort', giveUp);
      };
      const giveUp = (): void => {
        leave();
        reject(givenUp());
        this.#arm();
      };
      const waiting: Waiting = {
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
      queue.add(waiting);
      this.#arm();
    });
  }

  delayMs(): number {
    this.#refill();
    const missing = this.#least('hot') + this.#waiting.hot.size - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil(missing / this.#perMs);
  }

  left(): number {
    this.#refill();
    return Math.floor(this.#tokens);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const lane of LANES) for (const waiting of [...this.#waiting[lane]]) waiting.reject(closed());
  }

  /** Tokens that must be there for one of this lane to be taken. */
  #least(lane: Lane): number {
    return lane === 'upkeep' ? 1 + Math.floor(this.burst * KEPT_FROM_UPKEEP) : 1;
  }

  #isNext(lane: Lane): boolean {
    return LANES.slice(0, LANES.indexOf(lane) + 1).every((before) => this.#waiting[before].size === 0);
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
  }

  /** For the first in line: who comes later may be the first. */
  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const lane = LANES.find((one) => this.#waiting[one].size > 0);
    if (lane === undefined || this.#closed) return;
    this.#refill();
    const delay = Math.max(0, (this.#least(lane) - this.#tokens) / this.#perMs);
    this.#timer = this.#clock.timer(Math.ceil(delay), () => {
      this.#serve();
      this.#arm();
    });
  }

  #serve(): void {
    this.#refill();
    for (const lane of LANES) {
      for (const waiting of [...this.#waiting[lane]]) {
        // a later lane never goes first
        if (this.#tokens < this.#least(lane)) return;
        this.#tokens--;
        waiting.resolve();
      }
    }
  }
}

function closed(): StorageError {
  return new StorageError('CLOSED', 'The engine is closed', { outcome: 'none' });
}

function givenUp(): StorageError {
  return new StorageError('ABORTED', 'The request was given up before the budget allowed it', { outcome: 'none' });
}
