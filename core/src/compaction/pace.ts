import type { Clock } from '../world.ts';

/** Work on the event loop in pieces: sockets and other shards get their turn between two of them. */
export class Pace {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #pieceMs: number;
  #since: number;

  constructor(clock: Pick<Clock, 'monotonic'>, pieceMs = 10) {
    this.#clock = clock;
    this.#pieceMs = pieceMs;
    this.#since = clock.monotonic();
  }

  /** To be waited for, when a piece has taken its time. */
  turn(): Promise<void> | undefined {
    if (this.#clock.monotonic() - this.#since < this.#pieceMs) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#since = this.#clock.monotonic();
        resolve();
      });
    });
  }
}
