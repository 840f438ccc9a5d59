import type {
  Clock,
  Counter,
  Logger,
  Metrics,
  Shard,
  StorageAdapter,
  StoredRecord,
  Topic,
  TopicEvent,
} from '@robustmq/core';
import { type Message, secondsLeft } from '../message/message.ts';
import { fromRecord } from '../message/record.ts';
import type { TopicMapping } from '../topics/mapping.ts';
import { hasWildcard } from '../topics/names.ts';
import { SubscriptionTrie } from '../topics/trie.ts';
import type { Inbox } from './inbox.ts';
import { recordsIn } from './records-in.ts';
import { Match, type Subscription } from './subscription.ts';
import { TailReader, type TailStart } from './tail-reader.ts';

export interface LiveFeedOptions {
  readonly protocol: string;
  readonly storage: StorageAdapter;
  readonly mapping: TopicMapping;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Of one read of a tail, and of one of a subscriber's own cursor. */
  readonly readBytes: number;
  readonly maxDecompressedBytes: number;
}

/** A record on its way to MQTT. */
export interface FeedRecord {
  readonly offset: number;
  readonly message: Message;
  readonly client: string | undefined;
}

/**
 * Feeds the live subscribers of this node: one tail reader a shard, started with the first subscription that may find something in it,
 * stopped with the last, fanned out through the trie.
 */
export class LiveFeed {
  readonly droppedSlow: Counter;
  readonly fellBehind: Counter;
  readonly skipped: Counter;
  readonly #unnamed: Counter;
  readonly #expired: Counter;
  readonly #options: LiveFeedOptions;
  readonly #trie = new SubscriptionTrie<Inbox, Subscription>();
  readonly #filters = new Map<string, FilterUse>();
  readonly #tails = new Map<string, TailUse>();
  readonly #stop = new AbortController();
  /** Reused from message to message. */
  readonly #matches = new Map<Inbox, Match>();

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    const { metrics, protocol } = options;
    const labels = { protocol };
    this.droppedSlow = metrics.counter(
      'robust_subscriber_dropped_total',
      'QoS 0 messages not delivered because the subscriber did not keep up',
      labels,
    );
    this.fellBehind = metrics.counter(
      'robust_subscriber_fell_behind_total',
      'Times that a subscriber left the shared tail of a shard for a cursor of its own',
      labels,
    );
    this.skipped = metrics.counter(
      'robust_subscriber_skipped_total',
      'Offsets that retention removed before a slow subscriber had read them',
      labels,
    );
    this.#unnamed = metrics.counter(
      'robust_records_without_mqtt_name_total',
      'Records not delivered to MQTT because their key gives no valid topic name, or a header no valid property',
      labels,
    );
    this.#expired = metrics.counter(
      'robust_messages_expired_total',
      'Messages not delivered because their expiry interval had passed',
      labels,
    );
    metrics.gauge('robust_subscriptions', 'Subscriptions of live subscribers', () => this.#trie.size, labels);
    metrics.gauge('robust_tail_readers', 'Shards read for live subscribers', () => this.#tails.size, labels);
    void this.#follow();
  }

  get tails(): number {
    return this.#tails.size;
  }

  /** Is anybody on this node subscribed to the name? */
  hasSubscriber(name: string): boolean {
    return this.#trie.has(name);
  }

  /**
   * Resolves when the subscription is in force: the subscriber then gets every message that is committed from now on, and none that
   * was committed before the call. @returns false when the subscriber had the filter already, and this replaced it.
   */
  async subscribe(inbox: Inbox, subscription: Subscription): Promise<boolean> {
    const { filter } = subscription;
    const use = this.#acquire(filter);
    await Promise.all([...use.tails].map((tail) => tail.reader.caughtUp()));
    const before = inbox.closed ? undefined : this.#trie.set(filter, inbox, subscription);
    if (inbox.closed || before !== undefined) this.#release(filter);
    if (inbox.closed) return false;
    inbox.joined(subscription);
    return before === undefined;
  }

  /** @returns whether there was such a subscription. */
  unsubscribe(inbox: Inbox, filter: string): boolean {
    if (this.#trie.delete(filter, inbox) === undefined) return false;
    inbox.left(filter);
    this.#release(filter);
    return true;
  }

  /** The subscriber is gone. */
  leave(inbox: Inbox): void {
    for (const filter of [...inbox.subscriptions.keys()]) this.unsubscribe(inbox, filter);
    inbox.close();
  }

  /** For a subscriber that reads behind the tail. */
  async readBehind(tail: TailReader, from: number): Promise<{ records: FeedRecord[]; next: number }> {
    const { readBytes, maxDecompressedBytes, logger } = this.#options;
    const read = await tail.shard.read(from, { maxBytes: readBytes, isolation: 'stable', signal: this.#stop.signal });
    const stored = recordsIn(read.chunks, from, maxDecompressedBytes, logger);
    return { records: this.#toMessages(tail.shard, stored), next: read.next };
  }

  /** A session threw, which it never should: it gets nothing any more. */
  failed(inbox: Inbox, err: unknown): void {
    this.#options.logger.error(
      { err, client: inbox.sink.clientId },
      'a subscriber is cut off because of an error in the broker',
    );
    this.leave(inbox);
  }

  pause(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.timer(RETRY_MS, resolve));
  }

  close(): void {
    this.#stop.abort();
    for (const { reader } of this.#tails.values()) reader.stop();
    this.#tails.clear();
    this.#filters.clear();
  }

  #fanOut(tail: TailReader, stored: readonly StoredRecord[]): void {
    for (const { offset, message, client } of this.#toMessages(tail.shard, stored)) {
      const matches = this.#matches;
      this.#trie.match(message.topic, (inbox, subscription) => {
        // [MQTT-3.8.3-3]
        if (subscription.noLocal && client === inbox.sink.clientId) return;
        let match = matches.get(inbox);
        if (match === undefined) {
          match = new Match();
          matches.set(inbox, match);
        }
        match.add(subscription);
      });
      for (const [inbox, match] of matches)
        try {
          inbox.offer(match.delivery(tail, offset, message));
        } catch (error) {
          this.failed(inbox, error); // one subscriber's trouble is not the others'
        }
      matches.clear();
    }
  }

  #toMessages(shard: Shard, stored: readonly StoredRecord[]): FeedRecord[] {
    const found: FeedRecord[] = [];
    const now = this.#options.clock.wall();
    for (const record of stored) {
      const known = fromRecord(shard.topic, record, this.#options.mapping);
      if (known === undefined) this.#unnamed.value++;
      else if ((secondsLeft(known.message, now) ?? 1) <= 0) this.#expired.value++;
      else found.push({ offset: record.offset, message: known.message, client: known.client });
    }
    return found;
  }

  #acquire(filter: string): FilterUse {
    const known = this.#filters.get(filter);
    if (known !== undefined) {
      known.count++;
      return known;
    }
    const use: FilterUse = { count: 1, tails: new Set() };
    this.#filters.set(filter, use);
    for (const topic of this.#candidates(filter))
      if (this.#options.mapping.mayHold(topic, filter)) this.#addTopic(use, topic, 'end');
    return use;
  }

  /** Topics that the filter may read. Names of topics have one level, so most filters can mean one of them at most. */
  #candidates(filter: string): Iterable<Topic> {
    const { storage, mapping } = this.#options;
    const [first = ''] = filter.split('/', 1);
    if (hasWildcard(first)) return storage.topics();
    const names = new Set([first, ...mapping.configured(filter)]);
    return [...names].map((name) => storage.topic(name)).filter((topic) => topic !== undefined);
  }

  #release(filter: string): void {
    const use = this.#filters.get(filter);
    if (use === undefined || --use.count > 0) return;
    this.#filters.delete(filter);
    for (const tail of use.tails) this.#releaseTail(tail);
  }

  #addTopic(use: FilterUse, topic: Topic, start: TailStart): void {
    for (const shard of this.#options.storage.shards(topic)) {
      const id = `${topic.id}/${shard.index}`;
      let tail = this.#tails.get(id);
      if (tail === undefined) {
        const reader = new TailReader(shard, start, {
          ...this.#options,
          records: (from, records) => this.#fanOut(from, records),
        });
        tail = { id, topicId: topic.id, reader, uses: 0 };
        this.#tails.set(id, tail);
      }
      if (use.tails.has(tail)) continue;
      use.tails.add(tail);
      tail.uses++;
    }
  }

  #releaseTail(tail: TailUse): void {
    if (--tail.uses > 0) return;
    tail.reader.stop();
    this.#tails.delete(tail.id);
  }

  /** Topics that come into being are read from their beginning, by the subscriptions that were there before. */
  async #follow(): Promise<void> {
    const { storage, logger } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        for await (const event of storage.watch(this.#stop.signal)) this.#onTopic(event);
        return;
      } catch (err) {
        if (this.#stop.signal.aborted) return;
        logger.warn({ err }, 'the list of topics cannot be followed; trying again');
        await this.pause();
      }
    }
  }

  #onTopic({ type, topic }: TopicEvent): void {
    if (type === 'altered') return;
    for (const [filter, use] of this.#filters) {
      const held = [...use.tails].filter((tail) => tail.topicId === topic.id);
      if (type === 'deleted')
        for (const tail of held) {
          use.tails.delete(tail);
          this.#releaseTail(tail);
        }
      else if (held.length === 0 && this.#options.mapping.mayHold(topic, filter)) this.#addTopic(use, topic, 0);
    }
  }
}

interface FilterUse {
  count: number;
  readonly tails: Set<TailUse>;
}

interface TailUse {
  readonly id: string;
  readonly topicId: string;
  readonly reader: TailReader;
  uses: number;
}

const RETRY_MS = 100;
