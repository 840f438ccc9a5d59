import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Consumer } from '@platformatic/kafka';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../clients.ts';
import { ServerProcess } from '../crash/server-process.ts';
import { exampleEngines, installAll } from './installed.ts';

const TOPIC = 'orders';
const FETCH_BYTES = 4 << 20;
const engines = await exampleEngines();
let home = '';
let user = '';

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'robust-examples-'));
  user = await installAll(home, engines);
});

afterAll(() => rm(home, { recursive: true, force: true, maxRetries: 3 }));

describe.each(engines)('the engine %s', (name) => {
  it('is loaded by path, carries a topic for Kafka and MQTT, and loses nothing acknowledged to kill -9', async () => {
    await carry(join(home, `${name}-path-data`), {}, `./examples/robust-engine-${name}`);
  });

  it('is loaded as an installed package by an installed server, and does the same there', async () => {
    const bin = join(user, 'node_modules/.bin/robust-server');
    await carry(join(home, `${name}-package-data`), { bin, cwd: user }, name);
  });
});

async function carry(data: string, server: { bin?: string; cwd?: string }, use: string): Promise<void> {
  const sets = [`engines.mine.use=${use}`, 'defaults.engine=mine'];
  await using stack = new AsyncDisposableStack();
  const start = async (ports?: ServerProcess['ports']): Promise<ServerProcess> => {
    const process = new ServerProcess({ data, sets, ...server, ...(ports && { ports }) });
    stack.defer(() => process.kill());
    await process.ready();
    return process;
  };
  const acknowledged = new Set<string>();

  const first = await start();
  // or what MQTT publishes before Kafka has made it goes to the catch-all topic
  await createTopic(first);
  expect(await engineOf(first)).toBe('mine');
  await readBothWays(first, 'calm', acknowledged, stack);

  const storm = writeBoth(first, 'storm', 2000, acknowledged);
  await eventually(
    () => acknowledged.size,
    (size) => size > 500,
  );
  await first.kill();
  await storm;
  expect(acknowledged.size).toBeLessThan(4200);

  const second = await start(first.ports);
  expect(await engineOf(second)).toBe('mine');
  expect(missing(acknowledged, await readKafka(second))).toEqual([]);
  await readBothWays(second, 'again', acknowledged, stack);
  expect(await second.stop()).toBe(0);
}

/** 200 messages, half by each protocol: an MQTT subscriber gets them all as they come, and a Kafka fetch from the beginning afterwards. */
async function readBothWays(
  server: ServerProcess,
  word: string,
  acknowledged: Set<string>,
  stack: AsyncDisposableStack,
): Promise<void> {
  const before = new Set(acknowledged);
  const subscriber = await subscribe(server, stack);
  await writeBoth(server, word, 100, acknowledged);
  const wanted = new Set([...acknowledged].filter((value) => !before.has(value)));
  expect(wanted.size).toBe(200);
  await eventually(
    () => missing(wanted, subscriber.seen),
    (lost) => lost.length === 0,
  );
  expect(missing(acknowledged, await readKafka(server))).toEqual([]);
  await subscriber.client.endAsync();
}

async function createTopic({ ports }: ServerProcess): Promise<void> {
  const admin = kafkaOf(ports.kafka).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1 }] });
  await admin.disconnect();
}

function missing(wanted: ReadonlySet<string>, there: ReadonlySet<string>): string[] {
  return [...wanted].filter((value) => !there.has(value));
}

/** `count` messages by each protocol; whatever the server has acknowledged goes into `acknowledged`. Ends when the server does. */
async function writeBoth({ ports }: ServerProcess, word: string, count: number, acknowledged: Set<string>) {
  const client = await connectAsync(`mqtt://127.0.0.1:${ports.mqtt}`, { reconnectPeriod: 0 });
  client.on('error', () => {});
  const kafka = kafkaOf(ports.kafka);
  const producer = kafka.producer({ retry: { retries: 0 } });
  try {
    await producer.connect();
    await Promise.all([
      writeMqtt(client, word, count, acknowledged),
      writeKafka(producer, word, count, acknowledged),
    ]).catch(() => {});
  } finally {
    await producer.disconnect().catch(() => {});
    client.end(true);
  }
}

async function writeMqtt(client: MqttClient, word: string, count: number, acknowledged: Set<string>): Promise<void> {
  const closed = new Promise<never>((_, reject) => {
    client.once('close', () => reject(new Error('the server is gone')));
  });
  closed.catch(() => {});
  for (let i = 0; i < count; i += 20) {
    const values = Array.from({ length: 20 }, (_, k) => `mqtt ${word} ${i + k}`);
    const sends = values.map(async (value) => {
      await client.publishAsync(TOPIC, value, { qos: 1 });
      acknowledged.add(value);
    });
    for (const send of sends) send.catch(() => {});
    await Promise.race([Promise.all(sends), closed]);
  }
}

async function writeKafka(producer: Producer, word: string, count: number, acknowledged: Set<string>): Promise<void> {
  for (let i = 0; i < count; i += 20) {
    const values = Array.from({ length: 20 }, (_, k) => `kafka ${word} ${i + k}`);
    await producer.send({ topic: TOPIC, acks: -1, messages: values.map((value) => ({ value })) });
    for (const value of values) acknowledged.add(value);
  }
}

async function subscribe(
  { ports }: ServerProcess,
  stack: AsyncDisposableStack,
): Promise<{ readonly client: MqttClient; readonly seen: Set<string> }> {
  const seen = new Set<string>();
  const client = await connectAsync(`mqtt://127.0.0.1:${ports.mqtt}`, { reconnectPeriod: 0 });
  stack.defer(() => void client.end(true));
  client.on('message', (_topic, payload) => seen.add(payload.toString()));
  await client.subscribeAsync(TOPIC, { qos: 1 });
  return { client, seen };
}

/**
 * What a Kafka fetch gives, from the beginning to the end, by a library that has nothing of ours. Not kafkajs: it reads in consumer groups only, and there are none
 * yet.
 */
async function readKafka({ ports }: ServerProcess): Promise<Set<string>> {
  const seen = new Set<string>();
  const bootstrapBrokers = [`127.0.0.1:${ports.kafka}`];
  const consumer = new Consumer({ clientId: 'carry-test', groupId: 'unused', bootstrapBrokers, retries: 1 });
  try {
    const metadata = await consumer.metadata({ topics: [TOPIC] });
    const topicId = metadata.topics.get(TOPIC)?.id ?? '';
    const node = metadata.topics.get(TOPIC)?.partitions[0]?.leader ?? 0;
    const offsets = await consumer.listOffsets({ topics: [TOPIC] });
    const end = offsets.get(TOPIC)?.[0] ?? 0n;
    for (let next = 0n; next < end; ) {
      const wanted = { partition: 0, currentLeaderEpoch: -1, fetchOffset: next, lastFetchedEpoch: -1 };
      const response = await consumer.fetch({
        ...{ node, minBytes: 1, maxBytes: FETCH_BYTES, maxWaitTime: 1000 },
        topics: [{ topicId, partitions: [{ ...wanted, partitionMaxBytes: FETCH_BYTES }] }],
      });
      const found = response.responses[0]?.partitions[0];
      const records = (found?.records ?? []).flatMap(({ firstOffset, records }) =>
        records.map(({ offsetDelta, value }) => ({ offset: firstOffset + BigInt(offsetDelta), value })),
      );
      expect({ error: found?.errorCode, empty: records.length === 0 }).toEqual({ error: 0, empty: false });
      for (const { offset, value } of records) {
        next = offset + 1n;
        if (value !== null) seen.add(value.toString());
      }
    }
    return seen;
  } finally {
    await consumer.close();
  }
}

async function engineOf({ ports }: ServerProcess): Promise<unknown> {
  const reply = await fetch(`http://127.0.0.1:${ports.admin}/api/v1/topics/${TOPIC}`);
  const { settings } = (await reply.json()) as { settings?: { engine?: unknown } }; // of our Admin HTTP
  return settings?.engine;
}

function kafkaOf(port: number): Kafka {
  return new Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING });
}
