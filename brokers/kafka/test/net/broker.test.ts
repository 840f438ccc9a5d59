import { type Counter, MemoryShare, type Metrics, unreadMetrics } from '@robustmq/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { KafkaSettings } from '../../src/index.ts';
import { makeBatch } from '../support/batch.ts';
import { RawClient } from '../support/raw-client.ts';
import { fetchOne, produceTo } from '../support/requests.ts';
import { runBroker } from '../support/run-broker.ts';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Metrics that a test can read. */
function readable() {
  const gauges = new Map<string, () => number>();
  const counters = new Map<string, Counter>();
  const metrics: Metrics = {
    ...unreadMetrics,
    gauge: (name, _, read) => void gauges.set(name, read),
    counter: (name, _, labels) => {
      const counter = { value: 0 };
      counters.set(`${name}${labels === undefined ? '' : JSON.stringify(labels)}`, counter);
      return counter;
    },
  };
  return { metrics, gauge: (name: string) => gauges.get(name)?.() ?? -1, counters };
}

async function run(settings: Partial<KafkaSettings> = {}, memory = new MemoryShare('in flight', 256 * 1024 * 1024)) {
  const observed = readable();
  const running = await runBroker(settings, { metrics: observed.metrics, memory });
  closers.push(() => running.broker.close());
  const connect = async (): Promise<RawClient> => {
    const client = await RawClient.connect(running.port);
    closers.push(() => client.close());
    return client;
  };
  return { ...running, ...observed, connect };
}

describe('the Kafka listener', () => {
  it('binds the port it says, and names the setting when it can not', async () => {
    const { port, broker } = await run();
    expect(broker.listeners()).toMatchObject([
      { protocol: 'kafka', host: '127.0.0.1', port, setting: 'brokers.kafka.port' },
    ]);
    await expect(runBroker({ port })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      hint: expect.stringContaining('brokers.kafka.port'),
    });
  });

  it('closes connections beyond the limit, and takes others when there is room again', async () => {
    const { connect } = await run({ maxConnections: 2 });
    const first = await connect();
    await connect();
    const third = await connect();
    await third.closed;
    first.send(18, 0, {});
    await first.frame();
    first.close();
    await first.closed;
    for (;;) {
      const next = await connect();
      next.send(18, 0, {});
      const answered = await next.frame().then(
        () => true,
        () => false,
      );
      if (answered) break;
    }
  });

  it('tells clients the advertised address, or the one they came by', async () => {
    const addressOf = async (settings: Partial<KafkaSettings>) => {
      const { connect, port } = await run(settings);
      const client = await connect();
      client.send(3, 1, { topics: [] });
      const frame = await client.frame();
      const length = frame.readInt16BE(16);
      return { host: frame.toString('utf8', 18, 18 + length), port: frame.readInt32BE(18 + length), bound: port };
    };
    expect(await addressOf({ advertised: 'kafka.example.org:19092' })).toMatchObject({
      host: 'kafka.example.org',
      port: 19092,
    });
    expect(await addressOf({ advertised: '[::1]:9' })).toMatchObject({ host: '::1', port: 9 });
    const own = await addressOf({ host: '0.0.0.0' });
    expect(own).toEqual({ host: '127.0.0.1', port: own.bound, bound: own.bound });
  });

  it('answers what is in flight before it drains, and cuts what is left when it closes', async () => {
    const { broker, storage, connect } = await run();
    const topic = await storage.createTopic('t');
    let go = (): void => {};
    storage.shard(topic, 0).gate = new Promise((resolve) => {
      go = resolve;
    });
    const busy = await connect();
    const idle = await connect();
    idle.send(18, 0, {});
    await idle.frame();
    busy.send(0, 7, produceTo('t'));
    while (storage.shard(topic, 0).given.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const drained = broker.drain();
    await idle.closed;
    await expect(RawClient.connect(broker.listeners()[0]?.port ?? 0)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    go();
    await busy.frame();
    await busy.closed;
    await drained;
  });

  it('ends waiting fetches when it closes', async () => {
    const { broker, storage, connect } = await run();
    await storage.createTopic('t');
    const client = await connect();
    client.send(1, 11, fetchOne('t', 0, { maxWaitMs: 60_000 }));
    while (storage.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
    await broker.close();
    await client.closed;
    expect(storage.waiting).toBe(0);
  });
});

describe('a client that never reads', () => {
  it('holds a bounded amount of output, and holds back nobody', async () => {
    const { storage, connect, gauge, memory } = await run({
      maxOutputBytesPerConnection: 200_000,
      maxResponseBytes: 1024 * 1024,
    });
    const topic = await storage.createTopic('t');
    const batch = makeBatch({ payload: 100_000 });
    for (let i = 0; i < 20; i++) await storage.shard(topic, 0).append([Buffer.from(batch)]);
    const request = fetchOne('t', 0, { maxBytes: 10_000_000, partitionMaxBytes: 10_000_000 });
    const deaf = await Promise.all(Array.from({ length: 5 }, connect));
    for (const client of deaf) {
      client.socket.pause();
      for (let i = 0; i < 200; i++) client.send(1, 11, request);
    }
    const reader = await connect();
    let largest = 0;
    for (let i = 0; i < 50; i++) {
      reader.send(1, 11, request);
      reader.send(0, 7, produceTo('t'));
      await reader.frame();
      await reader.frame();
      largest = Math.max(largest, gauge('robust_kafka_output_bytes'));
    }
    // what all may hold, and for each connection one more fetch of the least size, which here is one batch
    expect(largest).toBeLessThan(1024 * 1024 + 6 * 200_000);
    expect(memory.peak).toBeLessThan(5 * 200 * 200);
    for (const client of deaf) client.close();
    await Promise.all(deaf.map((client) => client.closed));
    while (gauge('robust_kafka_connections') > 1) await new Promise((resolve) => setImmediate(resolve));
    expect(gauge('robust_kafka_output_bytes')).toBe(0);
  });
});

describe('a disk that stalls', () => {
  it('bounds what its producers hold in memory, keeps nobody else waiting, and loses nothing', async () => {
    const limit = 2_000_000;
    const { storage, connect, memory } = await run({}, new MemoryShare('in flight', limit));
    const topic = await storage.createTopic('t');
    const shard = storage.shard(topic, 0);
    let go = (): void => {};
    shard.gate = new Promise((resolve) => {
      go = resolve;
    });
    const batch = makeBatch({ payload: 100_000 });
    const producers = await Promise.all(Array.from({ length: 10 }, connect));
    for (const producer of producers)
      for (let i = 0; i < 10; i++) producer.send(0, 7, produceTo('t', { batch: Buffer.from(batch) }));
    while (memory.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
    const other = await connect();
    for (let i = 0; i < 20; i++) {
      other.send(1, 11, fetchOne('t', 0));
      await other.frame();
    }
    expect(memory.peak).toBeLessThanOrEqual(limit);
    shard.gate = undefined;
    go();
    for (const producer of producers) for (let i = 0; i < 10; i++) await producer.frame();
    expect(shard.end).toBe(100);
    expect(memory.peak).toBeLessThanOrEqual(limit);
    expect(memory.used).toBe(0);
  });
});

describe('garbage on the port', () => {
  it('ends that connection, is counted, and hurts nobody else', async () => {
    const { connect, counters } = await run();
    const good = await connect();
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01', 'MQTT'.repeat(100)]) {
      const bad = await connect();
      bad.socket.write(bytes);
      await bad.closed;
    }
    expect(counters.get('robust_kafka_disconnects_total{"reason":"invalid"}')?.value).toBe(3);
    good.send(18, 0, {});
    await good.frame();
  });
});
