import {
  BATCH_HEADER_BYTES,
  type Clock,
  encodeBatch,
  isStorageError,
  type MemoryShare,
  type RecordToWrite,
  type Shard,
  StorageError,
} from '@robustmq/core';
import type { PublishSink } from './publisher.ts';

export interface PendingRecord {
  readonly record: RecordToWrite;
  /** An upper bound of what the record takes in a batch. */
  readonly bytes: number;
  /** None for QoS 0. */
  readonly sink: PublishSink | undefined;
  readonly token: number;
  /** Handed back to the sink. */
  readonly name: string;
}

export interface ShardPublisherOptions {
  readonly clock: Clock;
  readonly memory: MemoryShare;
  readonly retryForMs: number;
}

export interface ShardPublisherEvents {
  /** A QoS 0 record was given up. */
  dropped(): void;
  /** Nothing waits and nothing is in flight. */
  idle(): void;
}

/** Bytes of one append: enough to make a group commit worth it, little enough to keep its latency low. */
const APPEND_BYTES = 1_048_576;
const RETRY_MS = 20;

/** The way into one shard. */
export class ShardPublisher {
  readonly #shard: Shard;
  readonly #options: ShardPublisherOptions;
  readonly #tell: ShardPublisherEvents;
  #waiting: PendingRecord[] = [];
  #bytes = 0;
  #running = false;
  #wakeRoom: (() => void)[] = [];
  #wakeIdle: (() => void)[] = [];

  constructor(shard: Shard, options: ShardPublisherOptions, tell: ShardPublisherEvents) {
    this.#shard = shard;
    this.#options = options;
    this.#tell = tell;
  }

  get pendingBytes(): number {
    return this.#bytes;
  }

  /** The record's bytes have been taken from the memory share; they are given back when it has settled. */
  push(pending: PendingRecord): void {
    this.#bytes += pending.bytes;
    this.#waiting.push(pending);
    if (this.#running) return;
    this.#running = true;
    // a microtask later, so that what one socket event brought in shares the first batch too
    queueMicrotask(() => void this.#run());
  }

  /** Resolves when bytes have been given back since. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#wakeRoom.push(resolve));
  }

  async idle(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#wakeIdle.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      this.#settle(group, await this.#append(group));
    }
    this.#running = false;
    this.#tell.idle();
    const idle = this.#wakeIdle;
    this.#wakeIdle = [];
    for (const wake of idle) wake();
  }

  /** What fits in one batch, at least one record. */
  #takeGroup(): PendingRecord[] {
    const limit = Math.min(APPEND_BYTES, this.#shard.topic.settings.maxMessageBytes) - BATCH_HEADER_BYTES;
    let bytes = 0;
    let count = 0;
    for (const { bytes: own } of this.#waiting) {
      if (count > 0 && bytes + own > limit) break;
      bytes += own;
      count++;
    }
    if (count === this.#waiting.length) {
      const all = this.#waiting;
      this.#waiting = [];
      return all;
    }
    return this.#waiting.splice(0, count);
  }

  /** Never rejects. @returns why the records are not, or not certainly, in the log. */
  async #append(group: readonly PendingRecord[]): Promise<StorageError | undefined> {
    const giveUpAt = this.#options.clock.monotonic() + this.#options.retryForMs;
    let records = group;
    for (;;) {
      try {
        const batch = encodeBatch(records.map((pending) => pending.record));
        for (
          let credit = this.#shard.ready(batch.length);
          credit !== undefined;
          credit = this.#shard.ready(batch.length)
        )
          await credit;
        await this.#shard.append([batch]);
        return undefined;
      } catch (cause) {
        const error = asStorageError(cause);
        if (!error.retryable || this.#options.clock.monotonic() >= giveUpAt) return error;
        // it may have been applied: once more is fine for QoS 1, not for QoS 0
        if (error.outcome === 'unknown') records = records.filter((pending) => pending.sink !== undefined);
        if (records.length === 0) return error;
      }
      await new Promise<void>((resolve) => this.#options.clock.timer(RETRY_MS, resolve));
    }
  }

  #settle(group: readonly PendingRecord[], error: StorageError | undefined): void {
    let bytes = 0;
    for (const pending of group) {
      bytes += pending.bytes;
      if (pending.sink !== undefined) pending.sink.published(pending.token, error, pending.name);
      else if (error !== undefined) this.#tell.dropped();
    }
    this.#bytes -= bytes;
    this.#options.memory.give(bytes);
    const waiting = this.#wakeRoom;
    this.#wakeRoom = [];
    for (const wake of waiting) wake();
  }
}

function asStorageError(cause: unknown): StorageError {
  if (isStorageError(cause)) return cause;
  return new StorageError('IO_ERROR', 'the append failed for a reason nobody foresaw', { cause, outcome: 'unknown' });
}
