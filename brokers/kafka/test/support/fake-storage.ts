import { randomUUID } from 'node:crypto';
import {
  type AppendResult,
  type CreateTopicOptions,
  checkBatch,
  nextOffset,
  patchOffsetAndEpoch,
  type ReadOptions,
  readHeader,
  type SegmentInfo,
  type Shard,
  type ShardOffsets,
  type ShardRead,
  type StorageAdapter,
  StorageError,
  type Topic,
  type TopicEvent,
  type TopicOverrides,
  type TopicSettings,
} from '@robustmq/core';

const DEFAULTS: TopicSettings = {
  engine: 'fake',
  engineSettings: {},
  shards: 1,
  retention: { ms: 604_800_000, bytes: -1 },
  segment: { bytes: 1_073_741_824, ms: 604_800_000 },
  cleanup: 'delete',
  deleteRetentionMs: 86_400_000,
  maxMessageBytes: 1_048_588,
};

/** The brokers' page of core in memory, with handles for what a real store only does on a bad day. */
export class FakeStorage implements StorageAdapter {
  autoCreate = true;
  readonly #topics = new Map<string, { readonly topic: Topic; readonly shards: FakeShard[] }>();
  readonly #waiting = new Set<() => void>();
  #producerId = 1000;

  get waiting(): number {
    return this.#waiting.size;
  }

  async createTopic(name: string, options: CreateTopicOptions = {}): Promise<Topic> {
    if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..')
      throw new StorageError('TOPIC_INVALID', `${name} is no topic name`);
    if (this.#topics.has(name)) throw new StorageError('TOPIC_EXISTS', `topic ${name} exists`);
    const overrides = options.overrides ?? {};
    const topic: Topic = {
      name,
      id: randomUUID(),
      shards: overrides.shards ?? 1,
      internal: name.startsWith('__'),
      settings: merged(overrides),
      origins: overrides.retention?.ms === undefined ? {} : { 'retention.ms': 'topic' },
    };
    if (options.validateOnly === true) return topic;
    const shards = Array.from({ length: topic.shards }, (_, i) => new FakeShard(topic, i, () => this.#wake()));
    this.#topics.set(name, { topic, shards });
    return topic;
  }

  async ensureTopic(name: string): Promise<Topic> {
    const known = this.topic(name);
    if (known !== undefined) return known;
    if (!this.autoCreate) throw new StorageError('TOPIC_UNKNOWN', `no topic ${name}`);
    return this.createTopic(name);
  }

  async alterTopic(name: string): Promise<Topic> {
    return this.ensureTopic(name);
  }

  async deleteTopic(name: string): Promise<void> {
    if (!this.#topics.delete(name)) throw new StorageError('TOPIC_UNKNOWN', `no topic ${name}`);
  }

  topic(name: string): Topic | undefined {
    return this.#topics.get(name)?.topic;
  }

  topicById(id: string): Topic | undefined {
    return [...this.topics()].find((topic) => topic.id === id);
  }

  *topics(): Iterable<Topic> {
    for (const { topic } of this.#topics.values()) yield topic;
  }

  // nothing in the Kafka broker watches topics yet
  async *watch(): AsyncIterable<TopicEvent> {}

  shard(topic: Topic, index: number): FakeShard {
    const shard = this.#topics.get(topic.name)?.shards[index];
    if (shard === undefined) throw new StorageError('SHARD_UNKNOWN', `${topic.name}-${index}`);
    return shard;
  }

  shards(topic: Topic): readonly FakeShard[] {
    return this.#topics.get(topic.name)?.shards ?? [];
  }

  async allocateProducerId(): Promise<number> {
    return this.#producerId++;
  }

  async wait(
    positions: readonly { readonly shard: Shard; readonly from: number }[],
    { maxWaitMs, signal }: { readonly maxWaitMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    const news = (): boolean => positions.some(({ shard, from }) => (shard as FakeShard).end > from);
    if (news()) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      const check = (): void => {
        if (news()) done();
      };
      const timer = setTimeout(done, maxWaitMs);
      this.#waiting.add(check);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  #wake(): void {
    for (const check of [...this.#waiting]) check();
  }
}

export class FakeShard implements Shard {
  readonly topic: Topic;
  readonly index: number;
  owner = 1;
  unavailable: StorageError | undefined;
  epoch = 5;
  logStart = 0;
  end = 0;
  /** Appends wait for this first. */
  stall: Promise<void> | undefined;
  /** What `ready` gives. */
  credit: Promise<void> | undefined;
  /** What the next append ends with. */
  failure: Error | undefined;
  /** What the store keeps, */
  readonly batches: Buffer[] = [];
  /** and the very bytes it was given. */
  readonly given: Uint8Array[] = [];
  readonly #sequences = new Map<number, number>();
  readonly #wake: () => void;

  constructor(topic: Topic, index: number, wake: () => void) {
    this.topic = topic;
    this.index = index;
    this.#wake = wake;
  }

  async append(batches: readonly Uint8Array[]): Promise<AppendResult> {
    const base = this.end;
    const headers = batches.map((batch) => checkBatch(batch));
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    for (const [i, header] of headers.entries()) {
      if (header.producerId >= 0) {
        const expected = this.#sequences.get(header.producerId) ?? 0;
        if (header.baseSequence > expected)
          throw new StorageError('SEQUENCE_GAP', `${header.baseSequence}, not ${expected}`);
        if (header.baseSequence < expected) return { base, next: base, duplicate: true };
        this.#sequences.set(header.producerId, header.baseSequence + header.recordCount);
      }
      const batch = batches[i] as Uint8Array;
      this.given.push(batch);
      patchOffsetAndEpoch(batch, this.end, this.epoch);
      this.end += header.lastOffsetDelta + 1;
      this.batches.push(Buffer.from(batch));
    }
    const next = this.end;
    if (this.stall !== undefined) await this.stall;
    this.#wake();
    return { base, next, duplicate: false };
  }

  ready(): Promise<void> | undefined {
    return this.credit;
  }

  async read(from: number, { maxBytes }: ReadOptions): Promise<ShardRead> {
    const offsets = this.#offsets();
    const known = { offsets: { start: this.logStart, end: this.end } };
    if (from < this.logStart) throw new StorageError('OFFSET_TRIMMED', `${from}`, known);
    if (from > this.end) throw new StorageError('OFFSET_BEYOND_END', `${from}`, known);
    const chunks: Buffer[] = [];
    let bytes = 0;
    let next = from;
    for (const batch of this.batches) {
      const header = readHeader(batch);
      if (nextOffset(header) <= from) continue;
      if (bytes > 0 && bytes + batch.length > maxBytes) break;
      chunks.push(batch);
      bytes += batch.length;
      next = nextOffset(header);
    }
    return { chunks, bytes, next, offsets };
  }

  async offsets(): Promise<ShardOffsets> {
    return this.#offsets();
  }

  async offsetForTimestamp(timestamp: number): Promise<{ offset: number; timestamp: number } | undefined> {
    const found = this.batches.map((batch) => readHeader(batch)).find((header) => header.maxTimestamp >= timestamp);
    return found === undefined ? undefined : { offset: found.baseOffset, timestamp: found.maxTimestamp };
  }

  async endOffsetForEpoch(epoch: number): Promise<{ epoch: number; end: number }> {
    return { epoch: Math.min(epoch, this.epoch), end: this.end };
  }

  async trim(before: number): Promise<number> {
    this.logStart = before;
    return before;
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    return [];
  }

  #offsets(): ShardOffsets {
    return { logStart: this.logStart, committed: this.end, lastStable: this.end, epoch: this.epoch };
  }
}

function merged(overrides: TopicOverrides): TopicSettings {
  return {
    ...DEFAULTS,
    engine: overrides.engine ?? DEFAULTS.engine,
    shards: overrides.shards ?? DEFAULTS.shards,
    cleanup: overrides.cleanup ?? DEFAULTS.cleanup,
    retention: {
      ms: overrides.retention?.ms ?? DEFAULTS.retention.ms,
      bytes: overrides.retention?.bytes ?? DEFAULTS.retention.bytes,
    },
  };
}
