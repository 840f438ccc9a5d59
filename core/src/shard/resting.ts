import { isStorageError } from '../errors.ts';

const REST = { firstMs: 10_000, maxMs: 600_000 };
/** After what passes by itself, such as a store that is away for a moment. */
const SHORT_REST = { firstMs: 1000, maxMs: 30_000 };

interface Rest {
  readonly until: number;
  readonly delayMs: number;
  readonly wasWoken: boolean;
}

/** What has failed lately: it is left alone for a while, which doubles each time, so that it costs an attempt now and then and not every round. */
export class Resting {
  readonly #entries = new Map<string, Rest>();

  has(key: string, now: number): boolean {
    return now < (this.#entries.get(key)?.until ?? 0);
  }

  /** When it has rested, in the time that {@link add} was given; 0: it does not rest. */
  until(key: string): number {
    return this.#entries.get(key)?.until ?? 0;
  }

  /** @param error why it failed */
  add(key: string, now: number, error: unknown): void {
    const { firstMs, maxMs } = isStorageError(error) && error.retryable ? SHORT_REST : REST;
    const { delayMs: before = 0, wasWoken = false } = this.#entries.get(key) ?? {};
    const delayMs = Math.min(Math.max(2 * before, firstMs), maxMs);
    this.#entries.set(key, { until: now + delayMs, delayMs, wasWoken });
  }

  /** Whatever it rests for is said to be over. If it fails all the same, and was woken before, the next rest lasts its time. @returns whether it was woken */
  wake(key: string): boolean {
    const rest = this.#entries.get(key);
    if (rest === undefined || rest.wasWoken) return false;
    this.#entries.set(key, { ...rest, until: 0, wasWoken: true });
    return true;
  }

  /** Forgets what is none of `keys`. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.#entries.delete(key);
  }
}
