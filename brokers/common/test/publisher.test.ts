import { decodeRecords, MemoryShare, StorageError, systemClock, unreadMetrics } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import { Publisher, type PublishSink } from '../src/index.ts';
import { type FakeShard, FakeStorage } from './fake-storage.ts';

interface Setup {
  readonly publisher: Publisher;
  readonly shard: FakeShard;
  readonly memory: MemoryShare;
  readonly told: string[];
  readonly sink: PublishSink;
}

async function setup(limits: { pending?: number; memory?: number; clock?: VirtualClock } = {}): Promise<Setup> {
  const storage = new FakeStorage();
  const shard = storage.shard(await storage.createTopic('t'), 0);
  const memory = new MemoryShare('inflight', limits.memory ?? 1_000_000);
  const publisher = new Publisher({
    protocol: 'test',
    clock: limits.clock ?? systemClock,
    memory,
    metrics: unreadMetrics,
    maxPendingBytes: limits.pending ?? 100_000,
    retryForMs: 1000,
  });
  const told: string[] = [];
  const sink: PublishSink = { published: (token, error) => told.push(`${token} ${error?.code ?? 'ok'}`) };
  return { publisher, shard, memory, told, sink };
}

function record(text: string): { timestamp: number; key: null; value: Uint8Array } {
  return { timestamp: 1, key: null, value: Buffer.from(text) };
}

async function valuesIn(shard: FakeShard): Promise<string[][]> {
  const { chunks } = await shard.read(0, { maxBytes: 1e9 });
  return chunks.map((batch) => decodeRecords(batch).map(({ value }) => Buffer.from(value ?? []).toString()));
}

/** In steps, so that what one timer's promises set is due within the time that passes. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 10) await clock.advance(10);
}

describe('the publisher', () => {
  test('puts what arrives while an append is in flight into the next batch, in order', async () => {
    const { publisher, shard, told, sink } = await setup();
    let open: () => void = () => {};
    shard.gate = new Promise((resolve) => {
      open = resolve;
    });
    publisher.publish(shard, record('a'), 0, sink, 1, 'n');
    publisher.publish(shard, record('b'), 0, sink, 2, 'n'); // the same turn: the same batch
    await Promise.resolve();
    await Promise.resolve();
    for (let token = 3; token < 6; token++) publisher.publish(shard, record(`${token}`), 0, sink, token, 'n');
    expect(told).toEqual([]);
    open();
    await publisher.drain();
    expect(await valuesIn(shard)).toEqual([
      ['a', 'b'],
      ['3', '4', '5'],
    ]);
    expect(told).toEqual(['1 ok', '2 ok', '3 ok', '4 ok', '5 ok']);
  });

  test('bounds what waits for one shard, and says when there is room again', async () => {
    const { publisher, shard, sink } = await setup({ pending: 1000 });
    let open: () => void = () => {};
    shard.gate = new Promise((resolve) => {
      open = resolve;
    });
    expect(publisher.reserve(shard, 900)).toBeUndefined();
    publisher.publish(shard, record('a'), 900, sink, 1, 'n');
    const room = publisher.reserve(shard, 200);
    expect(room).toBeInstanceOf(Promise);
    open();
    await room;
    expect(publisher.reserve(shard, 200)).toBeUndefined();
  });

  test('takes the bytes from the memory share and gives all of them back', async () => {
    const { publisher, shard, memory, sink } = await setup({ memory: 1000 });
    expect(publisher.reserve(shard, 800)).toBeUndefined();
    publisher.publish(shard, record('a'), 800, sink, 1, 'n');
    expect(memory.used).toBe(800);
    expect(publisher.reserve(shard, 800)).toBeInstanceOf(Promise);
    publisher.publishAtMostOnce(shard, record('dropped'), 800);
    await publisher.drain();
    expect(memory.used).toBe(0);
    expect(await valuesIn(shard)).toEqual([['a']]);
  });

  test('tries again what is refused for now, and gives up in time', async () => {
    const clock = new VirtualClock();
    const { publisher, shard, told, sink } = await setup({ clock });
    shard.failures = [new StorageError('DISK_FULL', 'full'), new StorageError('BACKPRESSURE', 'no credit')];
    publisher.publish(shard, record('a'), 0, sink, 1, 'n');
    await pass(clock, 100);
    expect(told).toEqual(['1 ok']);
    shard.failures = Array.from({ length: 1000 }, () => new StorageError('DISK_FULL', 'full'));
    publisher.publish(shard, record('b'), 0, sink, 2, 'n');
    await pass(clock, 2000);
    expect(told).toEqual(['1 ok', '2 DISK_FULL']);
  });

  test('does not try again a QoS 0 message that may have been stored', async () => {
    const clock = new VirtualClock();
    const { publisher, shard, told, sink } = await setup({ clock });
    shard.failures = [new StorageError('TIMEOUT', 'who knows')]; // the fake applies it all the same
    publisher.publishAtMostOnce(shard, record('qos 0'), 0);
    publisher.publish(shard, record('qos 1'), 0, sink, 1, 'n');
    await pass(clock, 100);
    expect(told).toEqual(['1 ok']);
    expect(await valuesIn(shard)).toEqual([['qos 0', 'qos 1'], ['qos 1']]);
  });

  test('does not try again what can never succeed', async () => {
    const { publisher, shard, told, sink } = await setup();
    shard.failures = [new StorageError('BATCH_TOO_LARGE', 'large')];
    publisher.publish(shard, record('a'), 0, sink, 1, 'n');
    await publisher.drain();
    expect(told).toEqual(['1 BATCH_TOO_LARGE']);
  });
});
