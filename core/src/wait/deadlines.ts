import type { Clock, Timer } from '../world.ts';

/** Something that is to happen at the latest at a time, or before that by a call. */
export interface Expiring {
  expire(): void;
}

/** Deadlines fall on ticks of this many milliseconds, so that many share one. */
const TICK_MS = 10;

/** Any number of deadlines on one timer, which is armed for the nearest one and not at all when there is none. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #ticks = new Map<number, Set<Expiring>>();
  #timer: { readonly at: number; readonly handle: Timer } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many timers are armed: 0 or 1. */
  get timers(): number {
    return this.#timer === undefined ? 0 : 1;
  }

  /** Calls `expire` after `delayMs`, up to one tick later. @returns the tick, to be given to {@link remove}. */
  add(entry: Expiring, delayMs: number): number {
    const tick = Math.ceil((this.#clock.monotonic() + delayMs) / TICK_MS);
    const entries = this.#ticks.get(tick);
    if (entries === undefined) this.#ticks.set(tick, new Set([entry]));
    else entries.add(entry);
    this.#arm(tick);
    return tick;
  }

  remove(entry: Expiring, tick: number): void {
    const entries = this.#ticks.get(tick);
    if (entries === undefined) return;
    entries.delete(entry);
    if (entries.size > 0) return;
    this.#ticks.delete(tick);
    if (this.#ticks.size === 0) this.close();
  }

  close(): void {
    this.#timer?.handle.cancel();
    this.#timer = undefined;
  }

  #arm(tick: number): void {
    if (this.#timer !== undefined && this.#timer.at <= tick) return;
    this.#timer?.handle.cancel();
    const delay = Math.max(0, tick * TICK_MS - this.#clock.monotonic());
    this.#timer = { at: tick, handle: this.#clock.timer(delay, () => this.#fire()) };
  }

  #fire(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic() / TICK_MS;
    let nearest: number | undefined;
    for (const [tick, entries] of [...this.#ticks]) {
      if (tick <= now) {
        this.#ticks.delete(tick);
        for (const entry of entries) entry.expire();
      } else if (nearest === undefined || tick < nearest) {
        nearest = tick;
      }
    }
    if (nearest !== undefined) this.#arm(nearest);
  }
}
