import type { Counter, Histogram, Metrics, SegmentUsage } from '@robustmq/core';
import type { Prices } from '../settings.ts';
import type { Shares } from './steady-store.ts';

export const requestName = ['PUT', 'POST', 'LIST', 'GET', 'HEAD', 'DELETE'] as const;
type Request = (typeof requestName)[number];

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What one request costs, before the bytes. The forecast of costs asks the same question. */
export function priceOf(request: Request, prices: Prices): number {
  if (request === 'DELETE') return 0;
  return (request === 'GET' || request === 'HEAD' ? prices.per1000Gets : prices.per1000Puts) / 1000;
}

/** One try of a request. */
export interface Tried {
  /** `ok`, or what went wrong. */
  readonly result: string;
  readonly seconds: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

const NOBODY: Shares = [{ segment: '', share: 1 }];

/** Counts requests as the bill does: each try, for the instance and for the segments it was made for. */
export class Meter {
  readonly #instance: string;
  readonly #metrics: Metrics;
  readonly #prices: Prices;
  readonly #usage: (report: SegmentUsage) => void;
  readonly #counters = new Map<string, Counter>();
  readonly #seconds: ReadonlyMap<Request, Histogram>;
  readonly #bytesOut: Counter;
  readonly #bytesIn: Counter;
  readonly #cost: Counter;

  constructor(instance: string, metrics: Metrics, prices: Prices, usage: (report: SegmentUsage) => void) {
    this.#instance = instance;
    this.#metrics = metrics;
    this.#prices = prices;
    this.#usage = usage;
    const histogram = (kind: Request) =>
      metrics.histogram('robust_objects_request_seconds', 'Time of a request to the store', SECONDS, {
        instance,
        kind,
      });
    this.#seconds = new Map(requestName.map((kind) => [kind, histogram(kind)]));
    const bytes = (direction: string) =>
      metrics.counter('robust_objects_bytes_total', 'Bytes sent to the store and read from it', {
        instance,
        direction,
      });
    this.#bytesOut = bytes('out');
    this.#bytesIn = bytes('in');
    this.#cost = metrics.counter('robust_objects_cost_total', 'What requests and reads have cost at the set prices', {
      instance,
    });
  }

  /** @param shares for whom it was made; nobody: housekeeping */
  count(request: Request, { result, seconds, bytesOut, bytesIn }: Tried, shares: Shares = NOBODY): void {
    this.#counter(request, result).value++;
    this.#seconds.get(request)?.observe(seconds);
    const cost = priceOf(request, this.#prices) + (bytesIn / 1e9) * this.#prices.perGbRead;
    this.#bytesOut.value += bytesOut;
    this.#bytesIn.value += bytesIn;
    this.#cost.value += cost;
    for (const { segment, share } of shares)
      this.#usage({
        segment,
        puts: request === 'PUT' || request === 'POST' ? share : 0,
        gets: request === 'GET' || request === 'HEAD' ? share : 0,
        lists: request === 'LIST' ? share : 0,
        bytesOut: bytesOut * share,
        bytesIn: bytesIn * share,
        cost: cost * share,
      });
  }

  #counter(kind: Request, result: string): Counter {
    const key = `${kind} ${result}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = this.#metrics.counter('robust_objects_requests_total', 'Requests to the store, each try', {
        instance: this.#instance,
        kind,
        result,
      });
      this.#counters.set(key, counter);
    }
    return counter;
  }
}
