import type { Topic } from '../adapter.ts';
import type { SegmentUsage } from '../engine.ts';
import { segmentIdPrefix, topicKeyOfSegment } from '../shard/chain.ts';
import type { Counter, Metrics } from '../world.ts';

/** Topics that have counters of their own, per instance; what is used for more of them counts for no topic, like housekeeping. */
const MAX_TOPICS = 2000;
const NOBODY = '';

/**
 * Adds up what engines that pay by the request report for segments, per topic and instance. What is made for no segment, for one of a
 * topic that is gone, or before topics are known, counts for the topic without a name, so that the sums are those of the bill.
 */
export class TopicUsage {
  readonly #metrics: Metrics;
  readonly #topics: () => Iterable<Topic>;
  readonly #instances = new Map<string, Map<string, Totals>>();

  /** @param topics those that exist now */
  constructor(metrics: Metrics, topics: () => Iterable<Topic>) {
    this.#metrics = metrics;
    this.#topics = topics;
  }

  add(instance: string, report: SegmentUsage): void {
    this.#totals(instance, topicKeyOfSegment(report.segment)).add(report);
  }

  #totals(instance: string, topic: string): Totals {
    let known = this.#instances.get(instance);
    if (known === undefined) {
      known = new Map([[NOBODY, new Totals(this.#metrics, { topic: NOBODY, instance })]]);
      this.#instances.set(instance, known);
    }
    const totals = known.get(topic);
    if (totals !== undefined) return totals;
    const name = known.size <= MAX_TOPICS ? this.#nameOf(topic) : undefined;
    if (name === undefined) return this.#totals(instance, NOBODY);
    const made = new Totals(this.#metrics, { topic: name, instance });
    known.set(topic, made);
    return made;
  }

  #nameOf(key: string): string | undefined {
    for (const { id, name } of this.#topics()) if (segmentIdPrefix(id) === key) return name;
    return undefined;
  }
}

/** The counters of one topic on one instance. */
class Totals {
  readonly #puts: Counter;
  readonly #gets: Counter;
  readonly #lists: Counter;
  readonly #out: Counter;
  readonly #in: Counter;
  readonly #cost: Counter;

  constructor(metrics: Metrics, labels: { readonly topic: string; readonly instance: string }) {
    const requests = (kind: string) =>
      metrics.counter(
        'robust_topic_store_requests_total',
        'Requests made to a store for a topic; one for several topics is shared among them. Without a topic: housekeeping',
        { ...labels, kind },
      );
    const bytes = (direction: string) =>
      metrics.counter('robust_topic_store_bytes_total', 'Bytes sent to a store and read from it for a topic', {
        ...labels,
        direction,
      });
    this.#puts = requests('put');
    this.#gets = requests('get');
    this.#lists = requests('list');
    this.#out = bytes('out');
    this.#in = bytes('in');
    this.#cost = metrics.counter(
      'robust_topic_store_cost_total',
      "What a topic's requests and reads have cost, at the prices that are set for the instance",
      labels,
    );
  }

  add({ puts, gets, lists, bytesOut, bytesIn, cost }: SegmentUsage): void {
    this.#puts.value += puts;
    this.#gets.value += gets;
    this.#lists.value += lists;
    this.#out.value += bytesOut;
    this.#in.value += bytesIn;
    this.#cost.value += cost;
  }
}
