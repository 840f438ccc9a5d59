/** What subscribers got, held against the log. Pure. */
import type { Payload } from '../crash/payload.ts';
import type { Delivery } from './subscriber.ts';

export interface ReadLog {
  /** What was read at each offset, also what went with its process since. */
  readonly records: ReadonlyMap<number, Payload>;
  /** Whether an offset lay in what went with its process, so that it may have held a record that nobody else read. */
  readonly isGone: (offset: number) => boolean;
  /** Whether there is any such offset. */
  readonly hasGone: boolean;
}

/**
 * Each connection's messages are a stretch of the log: all of it, in order, each once. The first begins at offset 0, where it was there before
 * the first record. @returns what is wrong
 */
export function checkDeliveries(log: ReadLog, deliveries: readonly Delivery[]): string[] {
  const places = new Map<string, number[]>();
  for (const [offset, payload] of [...log.records].toSorted(([a], [b]) => a - b))
    places.set(keyOf(payload), [...(places.get(keyOf(payload)) ?? []), offset]);
  return deliveries.flatMap((delivery, index) => {
    const wrong = check(log, places, delivery, index === 0);
    return wrong === undefined ? [] : [`connection ${index + 1} of the subscriber: ${wrong}`];
  });
}

function check(
  log: ReadLog,
  places: ReadonlyMap<string, readonly number[]>,
  delivery: Delivery,
  isFirst: boolean,
): string | undefined {
  const first = delivery.findIndex((payload) => payload !== undefined && places.has(keyOf(payload)));
  const anchor = delivery[first];
  if (anchor === undefined)
    return delivery.length === 0 || log.hasGone ? undefined : 'nothing of it was ever in the log';
  // a publish that was sent again lies at two places: one of them must fit
  const found = (places.get(keyOf(anchor)) ?? []).map((offset) => {
    const start = offset - first;
    if (isFirst && start !== 0) return `begins at offset ${start}`;
    return misfit(log, delivery, start);
  });
  return found.includes(undefined) ? undefined : found[0];
}

function misfit({ records, isGone }: ReadLog, delivery: Delivery, start: number): string | undefined {
  for (const [index, payload] of delivery.entries()) {
    const offset = start + index;
    if (payload === undefined) return `message ${index} is not what anybody wrote`;
    const stored = records.get(offset);
    if (stored === undefined ? isGone(offset) : keyOf(stored) === keyOf(payload)) continue;
    const there = stored === undefined ? 'nothing' : keyOf(stored);
    return `message ${index} is ${keyOf(payload)}, and at offset ${offset} of the log is ${there}`;
  }
  return undefined;
}

function keyOf({ writer, sequence }: Payload): string {
  return `${writer} ${sequence}`;
}
