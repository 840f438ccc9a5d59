import { SeededRandom } from '@robustmq/core/testing';

/** What goes wrong between a probe and its medium: how long a call takes, and whether it or its reply is lost. Replayed from a seed. */
export class Weather {
  readonly #random: SeededRandom;
  readonly #lossy: number;

  constructor(seed: number, lossy: number) {
    this.#random = new SeededRandom(seed);
    this.#lossy = lossy;
  }

  /** Calls overtake each other: most take a turn or two of the event loop, some take many. */
  async pass<T>(call: () => T | Promise<T>): Promise<T> {
    const fate = this.#random.next();
    await this.#turns();
    if (fate < this.#lossy) throw new Error('the request was lost');
    const value = await call();
    await this.#turns();
    if (fate > 1 - this.#lossy) throw new Error('the reply was lost');
    return value;
  }

  next(): number {
    return this.#random.next();
  }

  async #turns(): Promise<void> {
    const drawn = this.#random.next();
    for (let left = drawn < 0.9 ? Math.floor(drawn * 3) : 12; left > 0; left--)
      await new Promise((resolve) => setImmediate(resolve));
  }
}
