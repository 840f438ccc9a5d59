import type { Clock, Random, Timer } from '../world.ts';

/** A clock that stands still until it is told to move: {@link VirtualClock.advance} fires the timers in between, in order. */
export class VirtualClock implements Clock {
  #now = 0;
  #sequence = 0;
  readonly #startWall: number;
  readonly #timers = new Map<number, { readonly at: number; readonly run: () => void }>();

  constructor(startWall = 1_700_000_000_000) {
    this.#startWall = startWall;
  }

  monotonic(): number {
    return this.#now;
  }

  wall(): number {
    return this.#startWall + this.#now;
  }

  timer(delayMs: number, run: () => void): Timer {
    const id = this.#sequence++;
    this.#timers.set(id, { at: this.#now + Math.max(0, delayMs), run });
    return { cancel: () => void this.#timers.delete(id) };
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`, running each timer at its time, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (let next = this.#nextDue(until); next !== undefined; next = this.#nextDue(until)) {
      const [id, timer] = next;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, timer.at);
      timer.run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#now = until;
    await new Promise((resolve) => setImmediate(resolve));
  }

  #nextDue(until: number): [number, { readonly at: number; readonly run: () => void }] | undefined {
    let due: [number, { readonly at: number; readonly run: () => void }] | undefined;
    for (const entry of this.#timers)
      if (entry[1].at <= until && (due === undefined || entry[1].at < due[1].at)) due = entry;
    return due;
  }
}

/** The same numbers for the same seed (mulberry32). */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  uuid(): string {
    const hex = Array.from({ length: 32 }, (_, i) =>
      i === 12
        ? '4'
        : i === 16
          ? (8 + Math.floor(this.next() * 4)).toString(16)
          : Math.floor(this.next() * 16).toString(16),
    ).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}
