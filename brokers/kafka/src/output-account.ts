/** Below this a fetch is not made smaller however much is on its way to clients. */
const LEAST_FETCH_BYTES = 64 * 1024;

/**
 * The bytes of records that have been read for clients and have not left the process yet, for all connections together. Nobody waits
 * here, so a client that never reads its socket can't hold others back: as the account fills up, each next fetch gets half of what is left.
 */
export class OutputAccount {
  readonly #limit: number;
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get held(): number {
    return this.#held;
  }

  /** What one more fetch may read. */
  allowance(): number {
    return Math.max(LEAST_FETCH_BYTES, Math.floor((this.#limit - this.#held) / 2));
  }

  hold(bytes: number): void {
    this.#held += bytes;
  }

  release(bytes: number): void {
    this.#held -= bytes;
    if (this.#held < 0) throw new Error('more output released than held');
  }
}
