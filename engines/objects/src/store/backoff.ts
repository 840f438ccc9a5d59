import type { Clock, Random } from '@robustmq/core';

const FIRST_MS = 50;
const MAX_MS = 3000;
/** Refusals that a person has to mend are not waited for as long as an outage. */
export const REFUSAL_PATIENCE_MS: number = 5000;

/** Waits between the tries of one request: twice as long each time, and by chance shorter, so that those who failed together do not come back together. */
export class Backoff {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #patienceMs: number;
  readonly #since: number;
  #next = FIRST_MS;

  constructor(clock: Clock, random: Random, patienceMs: number) {
    this.#clock = clock;
    this.#random = random;
    this.#patienceMs = patienceMs;
    this.#since = clock.monotonic();
  }

  get elapsedMs(): number {
    return this.#clock.monotonic() - this.#since;
  }

  /** @returns false, at once, when the patience is over, or when `signal` fires */
  async wait(signal: AbortSignal): Promise<boolean> {
    if (this.elapsedMs >= this.#patienceMs) return false;
    const delay = Math.max(1, this.#next * this.#random.next());
    this.#next = Math.min(2 * this.#next, MAX_MS);
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#clock.timer(delay, done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
    return !signal.aborted;
  }
}
