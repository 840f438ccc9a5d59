import {
  type EngineDefinition,
  type EngineInstance,
  encodeBatch,
  type Meta,
  openInstance,
  openStorage,
  type Shard,
  type Storage,
  type StorageOptions,
  silentLogger,
  systemClock,
  systemRandom,
  type Topic,
  type TopicPolicy,
  type TopicSettings,
  unreadMetrics,
} from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { MemoryMeta } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';

export const DEFAULTS: TopicSettings = {
  engine: 'memory',
  engineSettings: {},
  shards: 1,
  retention: { ms: -1, bytes: -1 },
  segment: { bytes: 1024 * 1024, ms: 3_600_000 },
  cleanup: 'delete',
  deleteRetentionMs: 86_400_000,
  maxMessageBytes: 1024 * 1024,
  archive: { to: 'none', after: 600_000, keepLocal: 3_600_000 },
};

export interface Node {
  readonly storage: Storage;
  readonly meta: Meta;
  readonly engines: ReadonlyMap<string, EngineInstance>;
  close(): Promise<void>;
}

export function openMemoryInstance(name: string, meta: Meta, limitBytes = 256 * 1024 * 1024): Promise<EngineInstance> {
  return openInstanceOf(memoryEngine as EngineDefinition, name, meta, limitBytes);
}

export function openInstanceOf(
  definition: EngineDefinition,
  name: string,
  meta: Meta,
  limitBytes = 256 * 1024 * 1024,
): Promise<EngineInstance> {
  return openInstance(definition, {
    instance: name,
    dir: '/nowhere',
    config: { limitBytes },
    fs: noFiles,
    lock: () => Promise.reject(new Error('no files')),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta,
    signal: new AbortController().signal,
  });
}

// the memory engine uses no files
const noFiles = new Proxy({} as never, {
  get: (_target, key) => () => Promise.reject(new Error(`no files: ${String(key)}`)),
});

export async function openNode(
  options: Partial<StorageOptions> & { defaults?: Partial<TopicSettings>; policy?: TopicPolicy } = {},
): Promise<Node> {
  const meta = options.meta ?? new MemoryMeta();
  const engines = options.engines ?? new Map([['memory', await openMemoryInstance('memory', meta)]]);
  const { defaults, ...rest } = options;
  const storage = await openStorage({
    nodeId: 1,
    policy: { rules: [], defaults: { ...DEFAULTS, ...defaults }, autoCreate: true },
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    ...rest,
    meta,
    engines,
  });
  return { storage, meta, engines, close: () => storage.close() };
}

let clientTime = 1_700_000_000_000;

export function batch(
  values: readonly string[],
  producer?: { id: number; epoch?: number; sequence: number },
  timestamp?: number,
): Uint8Array {
  return encodeBatch(
    values.map((value) => ({
      timestamp: timestamp ?? clientTime++,
      key: null,
      value: Buffer.from(value),
    })),
    producer === undefined ? {} : { producer: { epoch: 0, ...producer } },
  );
}

export async function shardOf(storage: Storage, name: string, index = 0): Promise<Shard> {
  const topic: Topic = storage.topic(name) ?? (await storage.createTopic(name));
  return storage.shard(topic, index);
}

/** Every record from `from` to the end, as `offset:value`. */
export async function readAll(shard: Shard, from?: number): Promise<string[]> {
  const found: string[] = [];
  const { logStart } = await shard.offsets();
  for (let at = from ?? logStart; ; ) {
    const { chunks, next } = await shard.read(at, { maxBytes: 256 * 1024 });
    for (const chunk of chunks)
      forEachBatch(chunk, (header, position) => {
        for (const record of decodeRecords(chunk.subarray(position, position + header.bytes)))
          if (record.offset >= at) found.push(`${record.offset}:${Buffer.from(record.value ?? '').toString()}`);
      });
    if (next === at) return found;
    at = next;
  }
}
