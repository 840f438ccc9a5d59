import { isStorageError } from '@robustmq/core';
import { SubscriptionTrie } from '../topics/trie.ts';
import type { LiveFeed } from './live-feed.ts';
import { type Delivery, Match, type Subscription } from './subscription.ts';
import type { TailReader } from './tail-reader.ts';

/** The far end of an inbox: a protocol's session with a bounded queue. */
export interface DeliverySink {
  /** The client id, for no-local. */
  readonly clientId: string;
  /** Is there room in the queue? Called before each {@link take}. */
  hasRoom(): boolean;
  take(delivery: Delivery): void;
}

/**
 * One subscriber's side of the live feed. As long as its queue has room it is fed from the shared tail. When the queue is full, QoS 0 is
 * dropped, and for QoS 1 the subscriber falls back to a cursor of its own in that shard, which reads on when there is room ({@link pump}), until it
 * has reached the tail again. So nothing piles up, and nobody else waits.
 */
export class Inbox {
  readonly sink: DeliverySink;
  readonly subscriptions: Map<string, Subscription> = new Map();
  readonly #feed: LiveFeed;
  readonly #behind = new Map<TailReader, Behind>();
  /** The subscriptions again, for reading behind the tail; made when it is needed. */
  #own: SubscriptionTrie<Subscription, Subscription> | undefined;
  #closed = false;
  #pumping = false;

  constructor(sink: DeliverySink, feed: LiveFeed) {
    this.sink = sink;
    this.#feed = feed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Shards in which this subscriber reads behind the tail. */
  get behind(): number {
    return this.#behind.size;
  }

  close(): void {
    this.#closed = true;
    this.#behind.clear();
  }

  /** A subscription that was made just now does not see what the cursors behind the tail have still to read. */
  joined(subscription: Subscription): void {
    this.subscriptions.set(subscription.filter, subscription);
    this.#own = undefined;
    this.#forgetStopped();
    for (const [tail, behind] of this.#behind) behind.since.set(subscription, tail.position);
  }

  left(filter: string): void {
    this.subscriptions.delete(filter);
    this.#own = undefined;
  }

  /** By the live feed, in offset order of the tail. */
  offer(delivery: Delivery): void {
    if (delivery.qos === 0) {
      if (this.sink.hasRoom()) this.sink.take(delivery);
      else this.#feed.droppedSlow.value++;
      return;
    }
    const behind = this.#behind.get(delivery.tail);
    if (behind !== undefined) {
      if (!behind.ahead || delivery.offset < behind.cursor) return; // its own cursor brings it, or has brought it
      this.#behind.delete(delivery.tail);
    }
    if (this.sink.hasRoom()) this.sink.take(delivery);
    else {
      this.#behind.set(delivery.tail, { cursor: delivery.offset, ahead: false, since: new Map() });
      this.#feed.fellBehind.value++;
    }
  }

  /** There is room again. */
  pump(): void {
    if (this.#pumping || this.#behind.size === 0) return;
    this.#pumping = true;
    void this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    try {
      for (const [tail, behind] of this.#behind)
        while (!this.#closed && !tail.stopped && !behind.ahead && this.sink.hasRoom()) await this.#readOn(tail, behind);
    } catch (error) {
      this.#feed.failed(this, error);
    } finally {
      this.#pumping = false;
      this.#forgetStopped();
      if (this.#behind.size === 0) this.#own = undefined;
    }
  }

  /** A tail is stopped when its last subscription is gone: then none of ours reads that shard. */
  #forgetStopped(): void {
    for (const tail of this.#behind.keys()) if (tail.stopped) this.#behind.delete(tail);
  }

  async #readOn(tail: TailReader, behind: Behind): Promise<void> {
    const read = await this.#feed.readBehind(tail, behind.cursor).catch((error: unknown) => {
      if (!isStorageError(error, 'OFFSET_TRIMMED') || error.offsets === undefined) return undefined;
      this.#feed.skipped.value += error.offsets.start - behind.cursor; // retention was faster than this subscriber
      return { records: [], next: error.offsets.start };
    });
    if (this.#closed || tail.stopped) return;
    if (read === undefined) {
      // the tail reader meets the same trouble and goes on where it stood; so does this cursor
      await tail.caughtUp();
      await this.#feed.pause();
      return;
    }
    for (const { offset, message, client } of read.records) {
      const match = this.#match(message.topic, client, behind, offset);
      const delivery = match?.delivery(tail, offset, message);
      if (delivery === undefined || delivery.qos === 0) continue; // QoS 0 does not wait for slow readers
      if (!this.sink.hasRoom()) {
        behind.cursor = offset;
        return;
      }
      this.sink.take(delivery);
    }
    const stuck = read.next <= behind.cursor;
    behind.cursor = Math.max(read.next, behind.cursor);
    if (behind.cursor < tail.position && !stuck) return;
    behind.ahead = true; // from here on the tail brings what the cursor has not
    if (behind.cursor <= tail.position) this.#behind.delete(tail);
  }

  #match(name: string, client: string | undefined, behind: Behind, offset: number): Match | undefined {
    let match: Match | undefined;
    this.#trie().match(name, (subscription) => {
      if (subscription.noLocal && client === this.sink.clientId) return;
      if (offset < (behind.since.get(subscription) ?? 0)) return;
      match ??= new Match();
      match.add(subscription);
    });
    return match;
  }

  #trie(): SubscriptionTrie<Subscription, Subscription> {
    if (this.#own === undefined) {
      this.#own = new SubscriptionTrie();
      for (const each of this.subscriptions.values()) this.#own.set(each.filter, each, each);
    }
    return this.#own;
  }
}

interface Behind {
  cursor: number;
  /** The cursor has met or passed the tail, which skips what lies below the cursor. */
  ahead: boolean;
  readonly since: Map<Subscription, number>;
}
