import {
  type AppendResult,
  BATCH_HEADER_BYTES,
  checkBatch,
  nextOffset,
  patchOffsetAndEpoch,
  type ReadOptions,
  type Shard,
  type ShardOffsets,
  type ShardRead,
  type StorageAdapter,
  StorageError,
  type Topic,
  type TopicEvent,
} from '@robustmq/core';

/** Just enough of the storage layer, in memory, with switches for what a broker must live with. */
export class FakeStorage implements StorageAdapter {
  readonly #topics = new Map<string, { topic: Topic; shards: FakeShard[] }>();
  readonly #watchers = new Set<(event: TopicEvent) => void>();
  autoCreate = true;
  #ids = 0;

  async createTopic(name: string, options: { overrides?: { shards?: number | null } } = {}): Promise<Topic> {
    if (this.#topics.has(name)) throw new StorageError('TOPIC_EXISTS', name);
    const shards = options.overrides?.shards ?? 1;
    const topic: Topic = {
      name,
      id: `topic-${this.#ids++}`,
      shards,
      internal: name.startsWith('__'),
      origins: {},
      settings: {
        engine: 'fake',
        engineSettings: {},
        shards,
        retention: { ms: -1, bytes: -1 },
        segment: { bytes: 1 << 30, ms: 1 << 30 },
        cleanup: 'delete',
        deleteRetentionMs: 0,
        maxMessageBytes: 1_048_576,
      },
    };
    this.#topics.set(name, {
      topic,
      shards: Array.from({ length: shards }, (_, index) => new FakeShard(topic, index)),
    });
    for (const tell of this.#watchers) tell({ type: 'created', topic });
    return topic;
  }

  async ensureTopic(name: string): Promise<Topic> {
    const known = this.#topics.get(name)?.topic;
    if (known !== undefined) return known;
    if (!this.autoCreate) throw new StorageError('TOPIC_UNKNOWN', name);
    return this.createTopic(name);
  }

  async alterTopic(name: string): Promise<Topic> {
    return this.ensureTopic(name);
  }

  async deleteTopic(name: string): Promise<void> {
    const known = this.#topics.get(name);
    if (known === undefined) throw new StorageError('TOPIC_UNKNOWN', name);
    this.#topics.delete(name);
    for (const tell of this.#watchers) tell({ type: 'deleted', topic: known.topic });
  }

  topic(name: string): Topic | undefined {
    return this.#topics.get(name)?.topic;
  }

  topicById(id: string): Topic | undefined {
    return [...this.topics()].find((topic) => topic.id === id);
  }

  topics(): Iterable<Topic> {
    return [...this.#topics.values()].map(({ topic }) => topic);
  }

  async *watch(signal: AbortSignal): AsyncIterable<TopicEvent> {
    const events: TopicEvent[] = [...this.topics()].map((topic) => ({ type: 'created', topic }));
    let wake: () => void = () => {};
    const tell = (event: TopicEvent): void => {
      events.push(event);
      wake();
    };
    this.#watchers.add(tell);
    signal.addEventListener('abort', () => wake());
    while (!signal.aborted) {
      for (let event = events.shift(); event !== undefined; event = events.shift()) yield event;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    this.#watchers.delete(tell);
  }

  shard(topic: Topic, index: number): FakeShard {
    const shard = this.#topics.get(topic.name)?.shards[index];
    if (shard === undefined) throw new StorageError('SHARD_UNKNOWN', `${topic.name}/${index}`);
    return shard;
  }

  shards(topic: Topic): readonly FakeShard[] {
    return this.#topics.get(topic.name)?.shards ?? [];
  }

  async allocateProducerId(): Promise<number> {
    return this.#ids++;
  }

  async wait(): Promise<void> {}
}

export class FakeShard implements Shard {
  readonly topic: Topic;
  readonly index: number;
  readonly owner = 1;
  readonly unavailable = undefined;
  /** Appends so far, in bytes of batches. */
  appends = 0;
  /** The next appends fail so, one error each. */
  failures: StorageError[] = [];
  /** Set: appends wait for it. */
  gate: Promise<void> | undefined;
  reads = 0;
  readonly #batches: { bytes: Uint8Array; base: number; next: number }[] = [];
  #end = 0;
  #start = 0;
  #waiting: (() => void)[] = [];

  constructor(topic: Topic, index: number) {
    this.topic = topic;
    this.index = index;
  }

  async append(batches: readonly Uint8Array[]): Promise<AppendResult> {
    const failure = this.failures.shift();
    if (this.gate !== undefined) await this.gate;
    if (failure !== undefined && failure.outcome === 'none') throw failure;
    const base = this.#end;
    for (const bytes of batches) {
      patchOffsetAndEpoch(bytes, this.#end, 1);
      const header = checkBatch(bytes);
      this.#batches.push({ bytes, base: header.baseOffset, next: nextOffset(header) });
      this.#end = nextOffset(header);
      this.appends++;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
    if (failure !== undefined) throw failure;
    return { base, next: this.#end, duplicate: false };
  }

  ready(): undefined {
    return undefined;
  }

  async read(from: number, options: ReadOptions): Promise<ShardRead> {
    this.reads++;
    if (from < this.#start)
      throw new StorageError('OFFSET_TRIMMED', 'gone', { offsets: { start: this.#start, end: this.#end } });
    if (from >= this.#end && (options.maxWaitMs ?? 0) > 0)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        options.signal?.addEventListener('abort', () => resolve());
      });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    let next = from;
    for (const batch of this.#batches) {
      if (batch.next <= from) continue;
      if (chunks.length > 0 && bytes + batch.bytes.length > options.maxBytes) break;
      chunks.push(batch.bytes);
      bytes += batch.bytes.length;
      next = batch.next;
    }
    return { chunks, bytes, next, offsets: await this.offsets() };
  }

  async offsets(): Promise<ShardOffsets> {
    return { logStart: this.#start, committed: this.#end, lastStable: this.#end, epoch: 1 };
  }

  async offsetForTimestamp(): Promise<undefined> {
    return undefined;
  }

  async endOffsetForEpoch(epoch: number): Promise<{ epoch: number; end: number }> {
    return { epoch, end: this.#end };
  }

  async trim(before: number): Promise<number> {
    this.#start = before;
    return before;
  }

  async segments(): Promise<[]> {
    return [];
  }

  /** Bytes of all batches, headers included. */
  get bytes(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
  }

  get records(): number {
    return this.#end;
  }
}

export const EMPTY_BATCH_BYTES = BATCH_HEADER_BYTES;
