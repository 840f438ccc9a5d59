import type { Clock, Counter, MemoryShare, Metrics, RecordToWrite, Shard, StorageError } from '@robustmq/core';
import { ShardPublisher } from './shard-publisher.ts';

export interface PublisherOptions {
  /** For the labels of metrics. */
  readonly protocol: string;
  readonly clock: Clock;
  readonly memory: MemoryShare;
  readonly metrics: Metrics;
  /** Records waiting for one shard, beside those in flight. */
  readonly maxPendingBytes: number;
  /** How long an append that was refused for now is tried again. */
  readonly retryForMs: number;
}

/** Hears about a publish by token: one object a connection, not one promise a message. */
export interface PublishSink {
  /** Called once a token, with the name it was published under, when the record is as durable as its topic's engine declares, or with the reason why not. */
  published(token: number, error: StorageError | undefined, name: string): void;
}

/**
 * Turns messages of many clients into records of shared batches. What arrives while an append of its shard is in flight shares the next
 * one: no linger timer, one append in flight a shard, so order is the order of the calls. Credit comes first: {@link Publisher.reserve}.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #shards = new Map<string, ShardPublisher>();
  readonly #dropped: Counter;

  constructor(options: PublisherOptions) {
    this.#options = options;
    const labels = { protocol: options.protocol };
    this.#dropped = options.metrics.counter(
      'robust_publish_dropped_total',
      'QoS 0 messages dropped on their way in because memory or storage had no room',
      labels,
    );
    options.metrics.gauge(
      'robust_publish_pending_bytes',
      'Bytes of records that wait for their append or are in it',
      () => this.pendingBytes,
      labels,
    );
  }

  get pendingBytes(): number {
    let bytes = 0;
    for (const shard of this.#shards.values()) bytes += shard.pendingBytes;
    return bytes;
  }

  /**
   * Takes the credit that {@link publish} needs and gives `undefined`; or takes nothing and gives a promise for when to ask again: stop
   * reading your socket meanwhile.
   */
  reserve(shard: Shard, bytes: number): Promise<void> | undefined {
    const own = this.#shards.get(idOf(shard));
    if (own !== undefined && own.pendingBytes > 0 && own.pendingBytes + bytes > this.#options.maxPendingBytes)
      return own.room();
    return this.#options.memory.tryTake(bytes) ? undefined : this.#options.memory.room(bytes);
  }

  /** The bytes must be reserved. */
  publish(shard: Shard, record: RecordToWrite, bytes: number, sink: PublishSink, token: number, name: string): void {
    this.#of(shard).push({ record, bytes, sink, token, name });
  }

  /** Waits for nothing and tells nobody: dropped when there is no room, or when the append fails. */
  publishAtMostOnce(shard: Shard, record: RecordToWrite, bytes: number): void {
    if (this.reserve(shard, bytes) !== undefined) this.#dropped.value++;
    else this.#of(shard).push({ record, bytes, sink: undefined, token: 0, name: '' });
  }

  /** Resolves when everything that was published so far has settled. */
  async drain(): Promise<void> {
    await Promise.all([...this.#shards.values()].map((shard) => shard.idle()));
  }

  #of(shard: Shard): ShardPublisher {
    const id = idOf(shard);
    let own = this.#shards.get(id);
    if (own === undefined) {
      own = new ShardPublisher(shard, this.#options, {
        dropped: () => this.#dropped.value++,
        idle: () => this.#shards.delete(id), // shards come and go; one that is not in use costs nothing
      });
      this.#shards.set(id, own);
    }
    return own;
  }
}

function idOf(shard: Shard): string {
  return `${shard.topic.id}/${shard.index}`;
}
