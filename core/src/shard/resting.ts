const FIRST_REST_MS = 10_000;
const MAX_REST_MS = 600_000;

/** What has failed lately: it is left alone for a while, which doubles each time, so that it costs an attempt now and then and not every round. */
export class Resting {
  readonly #entries = new Map<string, { readonly until: number; readonly delayMs: number }>();

  has(key: string, now: number): boolean {
    return now < (this.#entries.get(key)?.until ?? 0);
  }

  /** When it has rested, in the time that {@link add} was given; 0: it does not rest. */
  until(key: string): number {
    return this.#entries.get(key)?.until ?? 0;
  }

  add(key: string, now: number): void {
    const before = this.#entries.get(key)?.delayMs;
    const delayMs = before === undefined ? FIRST_REST_MS : Math.min(2 * before, MAX_REST_MS);
    this.#entries.set(key, { until: now + delayMs, delayMs });
  }

  /** Forgets what is none of `keys`. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.#entries.delete(key);
  }
}
