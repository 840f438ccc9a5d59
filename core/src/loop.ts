import type { Clock, Logger, Timer } from './world.ts';

/** A round may take this many intervals, and at least a minute, before the loop counts as stuck. */
const STUCK_INTERVALS = 10;
const STUCK_MIN_MS = 60_000;

/**
 * A background job that runs round after round: one timer, never two rounds at once, an error ends the round and not the loop, and
 * everybody can see when it last got through.
 */
export class Loop {
  readonly name: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #intervalMs: number;
  readonly #round: () => Promise<void>;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #lastProgress: number;

  constructor(options: { name: string; intervalMs: number; clock: Clock; logger: Logger; round: () => Promise<void> }) {
    this.name = options.name;
    this.#intervalMs = options.intervalMs;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#round = options.round;
    this.#lastProgress = options.clock.monotonic();
  }

  /** Milliseconds since a round last ended. */
  get sinceProgressMs(): number {
    return this.#clock.monotonic() - this.#lastProgress;
  }

  get healthy(): boolean {
    return this.#stopped || this.sinceProgressMs < Math.max(STUCK_MIN_MS, STUCK_INTERVALS * this.#intervalMs);
  }

  /** Starts the first round now; once more at once if one is running. */
  run(): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#running = this.#guarded();
  }

  /** Tells the loop that a long round is getting on. */
  progress(): void {
    this.#lastProgress = this.#clock.monotonic();
  }

  /** Starts no other round, and waits for the one that runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #guarded(): Promise<void> {
    try {
      await this.#round();
    } catch (error) {
      if (!this.#stopped) this.#logger.error({ loop: this.name, err: error }, 'a round of a background loop failed');
    }
    this.progress();
    this.#running = undefined;
    if (this.#stopped) return;
    if (this.#again) {
      this.#again = false;
      this.run();
    } else {
      this.#timer = this.#clock.timer(this.#intervalMs, () => this.run());
    }
  }
}
