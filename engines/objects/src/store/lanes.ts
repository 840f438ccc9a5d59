import { type Clock, StorageError } from '@robustmq/core';
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

  /** Runs `request` when the lane has room. @throws ABORTED when `signal` fires before */
  async run<T>(lane: Lane, signal: AbortSignal, request: () => Promise<T>): Promise<T> {
    const gate = this.#gates[lane];
    await gate.enter(signal);
    try {
      if (lane === 'cold') await this.#coldPace.next(signal);
      return await request();
    } finally {
      gate.leave();
    }
  }
}

class Gate {
  readonly #limit: number;
  #inside = 0;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  enter(signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) return Promise.reject(givenUp());
    if (this.#inside < this.#limit) {
      this.#inside++;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(enter);
        signal.removeEventListener('abort', giveUp);
      };
      const enter = (): void => {
        leave();
        resolve();
      };
      const giveUp = (): void => {
        leave();
        reject(givenUp());
      };
      this.#waiting.add(enter);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#inside--;
    else next(); // its place stays taken
  }
}

/** At most so many a second, evenly, with a second's worth at once after a pause. */
class Pace {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #burstMs: number;
  #free: number;

  constructor(perSecond: number, clock: Clock) {
    this.#clock = clock;
    this.#intervalMs = 1000 / perSecond;
    this.#burstMs = 1000;
    this.#free = clock.monotonic() - this.#burstMs;
  }

  next(signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) return Promise.reject(givenUp());
    const now = this.#clock.monotonic();
    this.#free = Math.max(this.#free, now - this.#burstMs) + this.#intervalMs;
    const delay = this.#free - now;
    if (delay <= 0) return undefined;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        timer.cancel();
        reject(givenUp());
      };
      const timer = this.#clock.timer(delay, () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      });
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }
}

function givenUp(): StorageError {
  return new StorageError('ABORTED', 'The request was given up before it was sent', { outcome: 'none' });
}
