import { randomUUID } from 'node:crypto';
import {
  type AppendResult,
  type CreateTopicOptions,
  checkBatch,
  isStorageError,
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
  archive: { to: 'none', after: 600_000, keepLocal: 3_600_000 },
};

/** The brokers' page of core in memory, with handles for what a real store only does on a bad day. */
export class FakeStorage implements StorageAdapter {
  autoCreate = true;
  readonly #topics = new Map<string, { readonly topic: Topic; readonly shards: readonly FakeShard[] }>();
  readonly #watchers = new Set<(event: TopicEvent) => void>();
  readonly #waiting = new Set<() => void>();
  #producerId = 1000;

  /** How many wait for records right now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  async createTopic(name: string, options: CreateTopicOptions = {}): Promise<Topic> {
    if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..')
      throw new StorageError('TOPIC_INVALID', `${name} is no topic name`);
    if (this.#topics.has(name)) throw new StorageError('TOPIC_EXISTS', `topic ${name} exists`);
    const settings = settingsFrom(options);
    const topic: Topic = {
      name,
      id: randomUUID(),
      shards: settings.shards,
      internal: name.startsWith('__'),
      settings,
      origins: options.overrides?.retention?.ms === undefined ? {} : { 'retention.ms': 'topic' },
    };
    if (options.validateOnly === true) return topic;
    const shards = Array.from({ length: topic.shards }, (_, i) => new FakeShard(topic, i, this.#waiting));
    this.#topics.set(name, { topic, shards });
    for (const tell of this.#watchers) tell({ type: 'created', topic });
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
    const topic = this.topic(name);
    if (topic === undefined) throw new StorageError('TOPIC_UNKNOWN', `no topic ${name}`);
    this.#topics.delete(name);
    for (const tell of this.#watchers) tell({ type: 'deleted', topic });
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
    const shard = this.shards(topic)[index];
    if (shard === undefined) throw new StorageError('SHARD_UNKNOWN', `${topic.name}/${index}`);
    return shard;
  }

  shards(topic: Topic): readonly FakeShard[] {
    return this.#topics.get(topic.name)?.shards ?? [];
  }

  async allocateProducerId(): Promise<number> {
    return this.#producerId++;
  }

  wait(
    positions: readonly { readonly shard: Shard; readonly from: number }[],
    options: { readonly maxWaitMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    // all shards of this storage are fakes
    const news = (): boolean => positions.some(({ shard, from }) => (shard as FakeShard).end > from);
    return waitFor(news, this.#waiting, options);
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
  /** The next appends fail so, one error each. */
  failures: StorageError[] = [];
  /** Set: appends wait for it before they take effect. */
  gate: Promise<void> | undefined;
  /** What `ready` gives. */
  credit: Promise<void> | undefined;
  /** What lies below is archived. */
  coldBelow = 0;
  /** Reads wait for it. */
  readGate: (() => Promise<void>) | undefined;
  /** How often it was read. */
  reads = 0;
  /** What the store keeps, */
  readonly batches: Buffer[] = [];
  /** and the very bytes it was given, also those that still wait at the gate. */
  readonly given: Uint8Array[] = [];
  readonly #sequences = new Map<number, number>();
  readonly #waiting: Set<() => void>;

  constructor(topic: Topic, index: number, waiting: Set<() => void>) {
    this.topic = topic;
    this.index = index;
    this.#waiting = waiting;
  }

  async append(batches: readonly Uint8Array[]): Promise<AppendResult> {
    for (const batch of batches) checkBatch(batch);
    this.given.push(...batches);
    const failure = this.failures.shift();
    if (this.gate !== undefined) await this.gate;
    // one with an unknown outcome has been applied all the same
    if (failure !== undefined && !(isStorageError(failure) && failure.outcome === 'unknown')) throw failure;
    const base = this.end;
    for (const batch of batches) if (!this.#take(batch)) return { base, next: base, duplicate: true };
    const next = this.end;
    for (const check of [...this.#waiting]) check();
    if (failure !== undefined) throw failure;
    return { base, next, duplicate: false };
  }

  /** False for a batch that its producer has sent before. */
  #take(batch: Uint8Array): boolean {
    const { producerId, baseSequence, recordCount, lastOffsetDelta } = readHeader(batch);
    if (producerId >= 0) {
      const expected = this.#sequences.get(producerId) ?? 0;
      if (baseSequence > expected) throw new StorageError('SEQUENCE_GAP', `${baseSequence}, not ${expected}`);
      if (baseSequence < expected) return false;
      this.#sequences.set(producerId, baseSequence + recordCount);
    }
    patchOffsetAndEpoch(batch, this.end, this.epoch);
    this.end += lastOffsetDelta + 1;
    this.batches.push(Buffer.from(batch));
    return true;
  }

  ready(): Promise<void> | undefined {
    return this.credit;
  }

  async read(from: number, { maxBytes, maxWaitMs = 0, signal }: ReadOptions): Promise<ShardRead> {
    this.reads++;
    await this.readGate?.();
    const known = { offsets: { start: this.logStart, end: this.end } };
    if (from < this.logStart) throw new StorageError('OFFSET_TRIMMED', `${from}`, known);
    if (from > this.end) throw new StorageError('OFFSET_BEYOND_END', `${from}`, known);
    if (maxWaitMs > 0)
      await waitFor(() => this.end > from, this.#waiting, signal === undefined ? { maxWaitMs } : { maxWaitMs, signal });
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
    return { chunks, bytes, next, offsets: this.#offsets() };
  }

  isNear(from: number): boolean {
    return from >= this.coldBelow;
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

/** Until it is so, time is up or the signal is aborted; `waiting` holds what each append calls. */
async function waitFor(
  isSo: () => boolean,
  waiting: Set<() => void>,
  { maxWaitMs, signal }: { readonly maxWaitMs: number; readonly signal?: AbortSignal },
): Promise<void> {
  if (isSo() || signal?.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      waiting.delete(check);
      resolve();
    };
    const check = (): void => {
      if (isSo()) done();
    };
    const timer = setTimeout(done, maxWaitMs);
    waiting.add(check);
    signal?.addEventListener('abort', done, { once: true });
  });
}

function settingsFrom({ overrides = {} }: CreateTopicOptions): TopicSettings {
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
