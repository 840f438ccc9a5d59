import { type Clock, StorageError, type Timer } from '@robustmq/core';
import type { Lane } from './steady-store.ts';

export interface LaneSettings {
  readonly hotRequests: number;
  readonly coldRequests: number;
  readonly coldGetsPerSecond: number;
}

/** Requests of housekeeping at once. */
const UPKEEP_REQUESTS = 4;

/** How many requests of each kind are on their way at once, so that reads of old data delay nobody else. */
export class Lanes {
  readonly #gates: Readonly<Record<Lane, Gate>>;
  readonly #coldPace: Pace;

  constructor(settings: LaneSettings, clock: Clock) {
    this.#gates = {
      hot: new Gate(settings.hotRequests),
      cold: new Gate(settings.coldRequests),
      upkeep: new Gate(UPKEEP_REQUESTS),
    };
    this.#coldPace = new Pace(settings.coldGetsPerSecond, clock);
  }

  /** Runs `request` when the lane has room. @throws CLOSED */
  async run<T>(lane: Lane, request: () => Promise<T>): Promise<T> {
    const gate = this.#gates[lane];
    await gate.enter();
    try {
      if (lane === 'cold') await this.#coldPace.next();
      return await request();
    } finally {
      gate.leave();
    }
  }

  close(): void {
    for (const gate of Object.values(this.#gates)) gate.close();
    this.#coldPace.close();
  }
}

class Gate {
  readonly #limit: number;
  #inside = 0;
  #closed = false;
  #waiting: { resolve(): void; reject(error: StorageError): void }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  enter(): Promise<void> | undefined {
    if (this.#closed) return Promise.reject(closed());
    if (this.#inside < this.#limit) {
      this.#inside++;
      return undefined;
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inside--;
    else next.resolve(); // its place stays taken
  }

  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
  }
}

/** At most so many a second, evenly, with a second's worth at once after a pause. */
class Pace {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #burstMs: number;
  #free: number;
  #closed = false;
  readonly #timers = new Map<Timer, () => void>();

  constructor(perSecond: number, clock: Clock) {
    this.#clock = clock;
    this.#intervalMs = 1000 / perSecond;
    this.#burstMs = 1000;
    this.#free = clock.monotonic() - this.#burstMs;
  }

  next(): Promise<void> | undefined {
    const now = this.#clock.monotonic();
    this.#free = Math.max(this.#free, now - this.#burstMs) + this.#intervalMs;
    const delay = this.#free - now;
    if (delay <= 0 || this.#closed) return undefined;
    return new Promise((resolve) => {
      const timer = this.#clock.timer(delay, () => {
        this.#timers.delete(timer);
        resolve();
      });
      this.#timers.set(timer, resolve);
    });
  }

  close(): void {
    this.#closed = true;
    for (const [timer, resolve] of this.#timers) {
      timer.cancel();
      resolve();
    }
    this.#timers.clear();
  }
}

function closed(): StorageError {
  return new StorageError('CLOSED', 'The engine is closed', { outcome: 'none' });
}
