import type { Clock, Timer } from '@robustmq/core';

/** Something that is due at some time, which may move at any moment without telling the sweep. */
export interface Deadline {
  /** On the monotonic clock; `Infinity` for never. */
  readonly dueAt: number;
  expired(): void;
}

/** One timer for the deadlines of all connections: a look at each per interval, instead of a timer started and stopped per packet. */
export class DeadlineSweep {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #deadlines = new Set<Deadline>();
  #timer: Timer | undefined;

  constructor(clock: Clock, intervalMs = 500) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  add(deadline: Deadline): void {
    this.#deadlines.add(deadline);
    this.#timer ??= this.#clock.timer(this.#intervalMs, () => this.#sweep());
  }

  delete(deadline: Deadline): void {
    this.#deadlines.delete(deadline);
    if (this.#deadlines.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (const deadline of this.#deadlines) if (deadline.dueAt <= now) deadline.expired();
    if (this.#deadlines.size > 0) this.#timer ??= this.#clock.timer(this.#intervalMs, () => this.#sweep());
  }
}
