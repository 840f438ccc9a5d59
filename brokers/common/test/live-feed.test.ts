import { crc32c } from '@node-rs/crc32';
import { BATCH_HEADER_BYTES, CRC_FROM, encodeBatch, silentLogger, systemClock, unreadMetrics } from '@robustmq/core';
import { afterEach, describe, expect, test } from 'vitest';
import { type Delivery, type DeliverySink, Inbox, LiveFeed, type Subscription, TopicMapping } from '../src/index.ts';
import { type FakeShard, FakeStorage } from './fake-storage.ts';

const feeds: LiveFeed[] = [];
afterEach(() => {
  for (const feed of feeds.splice(0)) feed.close();
});

function start(): { feed: LiveFeed; storage: FakeStorage } {
  const storage = new FakeStorage();
  const feed = new LiveFeed({
    protocol: 'test',
    storage,
    mapping: new TopicMapping([{ match: 'sensors/#', topic: 'sensors' }], 'mqtt'),
    clock: systemClock,
    logger: silentLogger,
    metrics: unreadMetrics,
    readBytes: 4096,
    maxDecompressedBytes: 1_000_000,
  });
  feeds.push(feed);
  return { feed, storage };
}

/** A subscriber with a queue of so many messages. */
class Sink implements DeliverySink {
  readonly clientId: string;
  readonly got: Delivery[] = [];
  room: number;

  constructor(room = Number.POSITIVE_INFINITY, clientId = 'me') {
    this.room = room;
    this.clientId = clientId;
  }

  hasRoom(): boolean {
    return this.room > 0;
  }

  take(delivery: Delivery): void {
    this.room--;
    this.got.push(delivery);
  }

  get payloads(): string[] {
    return this.got.map(({ message }) => Buffer.from(message.payload).toString());
  }
}

function subscription(filter: string, more: Partial<Subscription> = {}): Subscription {
  return { filter, qos: 1, noLocal: false, retainAsPublished: false, identifier: undefined, ...more };
}

async function put(shard: FakeShard, key: string, ...values: string[]): Promise<void> {
  for (const value of values)
    await shard.append([encodeBatch([{ timestamp: Date.now(), key: Buffer.from(key), value: Buffer.from(value) }])]);
}

/** Until the tail readers have handed out everything: reads settle within a few turns of the loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('the live feed', () => {
  test('brings what is committed after the subscription, and nothing from before', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    await put(shard, 'a', 'before');
    const early = new Sink();
    const inbox = new Inbox(early, feed);
    await feed.subscribe(inbox, subscription('a'));
    await put(shard, 'a', 'between');
    const late = new Sink();
    await feed.subscribe(new Inbox(late, feed), subscription('+'));
    await put(shard, 'a', 'after');
    await settled();
    expect(early.payloads).toEqual(['between', 'after']);
    expect(late.payloads).toEqual(['after']);
  });

  test('reads a shard once for all subscribers, from the first to the last of them', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const inboxes = Array.from({ length: 50 }, () => new Inbox(new Sink(), feed));
    for (const inbox of inboxes) await feed.subscribe(inbox, subscription('a'));
    expect(feed.tails).toBe(1);
    const before = shard.reads;
    await put(shard, 'a', 'x');
    await settled();
    expect(shard.reads - before).toBeLessThanOrEqual(2);
    for (const inbox of inboxes) feed.leave(inbox);
    expect(feed.tails).toBe(0);
  });

  test('reads a topic from its beginning that comes into being after the subscription', async () => {
    const { feed, storage } = start();
    const sink = new Sink();
    await feed.subscribe(new Inbox(sink, feed), subscription('sensors/#'));
    await settled();
    const topic = await storage.createTopic('sensors', { overrides: { shards: 2 } });
    await put(storage.shard(topic, 1), 'sensors/a', 'first');
    await settled();
    expect(sink.payloads).toEqual(['first']);
    await storage.deleteTopic('sensors');
    await settled();
    expect(feed.tails).toBe(0);
  });

  test('[MQTT-3.3.4-2] delivers a message once to a client whose subscriptions overlap, with the highest QoS and all identifiers', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const sink = new Sink();
    const inbox = new Inbox(sink, feed);
    await feed.subscribe(inbox, subscription('a/#', { qos: 0, identifier: 1 }));
    await feed.subscribe(inbox, subscription('a/+', { qos: 1, identifier: 2 }));
    await put(shard, 'a/b', 'x');
    await settled();
    expect(sink.got.map(({ qos, identifiers }) => [qos, [...identifiers].sort()])).toEqual([[1, [1, 2]]]);
  });

  test('a subscriber that throws is cut off, and the others get theirs', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const broken = new Sink();
    broken.take = () => {
      throw new Error('broken');
    };
    const sink = new Sink();
    await feed.subscribe(new Inbox(broken, feed), subscription('a'));
    await feed.subscribe(new Inbox(sink, feed), subscription('a'));
    await put(shard, 'a', '1', '2');
    await settled();
    expect(sink.payloads).toEqual(['1', '2']);
  });

  test('a record without an MQTT name, a control batch and one that cannot be decoded are passed over', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const sink = new Sink();
    await feed.subscribe(new Inbox(sink, feed), subscription('#'));
    await put(shard, 'a/#', 'no name');
    await shard.append([encodeBatch([{ timestamp: 1, key: Buffer.from('a'), value: null }], { control: true })]);
    const lying = encodeBatch([{ timestamp: 1, key: Buffer.from('a'), value: Buffer.from('z') }], { codec: 'gzip' });
    lying.fill(0, BATCH_HEADER_BYTES);
    new DataView(lying.buffer, lying.byteOffset).setUint32(17, crc32c(lying.subarray(CRC_FROM)));
    await shard.append([lying]);
    await put(shard, 'a', 'good');
    await settled();
    expect(sink.payloads).toEqual(['good']);
  });
});

describe('a slow subscriber', () => {
  test('goes on from a cursor of its own where its queue was full, and meets the tail again: nothing lost, repeated or out of order', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const slow = new Sink(3);
    const quick = new Sink();
    const inbox = new Inbox(slow, feed);
    await feed.subscribe(inbox, subscription('a'));
    await feed.subscribe(new Inbox(quick, feed), subscription('a'));
    const all = Array.from({ length: 200 }, (_, at) => `${at}`);
    await put(shard, 'a', ...all.slice(0, 100));
    await settled();
    expect(quick.payloads).toEqual(all.slice(0, 100)); // it waited for nobody
    expect(slow.got).toHaveLength(3);
    expect(inbox.behind).toBe(1);
    for (let round = 0; round < 60; round++) {
      slow.room = 7;
      inbox.pump();
      if (round % 2 === 0) await put(shard, 'a', ...all.slice(100 + round, 102 + round));
      await settled();
    }
    await put(shard, 'a', ...all.slice(160));
    slow.room = 1000;
    inbox.pump();
    await settled();
    expect(slow.payloads).toEqual(quick.payloads);
    expect(slow.payloads).toHaveLength(200);
    expect(inbox.behind).toBe(0);
  });

  test('loses QoS 0, and only that', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const slow = new Sink(1);
    const inbox = new Inbox(slow, feed);
    await feed.subscribe(inbox, subscription('a', { qos: 0 }));
    await feed.subscribe(inbox, subscription('b', { qos: 1 }));
    await put(shard, 'a', '0', '1', '2');
    await put(shard, 'b', 'kept');
    await settled();
    slow.room = 10;
    inbox.pump();
    await settled();
    expect(slow.payloads).toEqual(['0', 'kept']);
  });

  test('that unsubscribes while behind, and subscribes again, gets only what comes after', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const slow = new Sink(1);
    const inbox = new Inbox(slow, feed);
    await feed.subscribe(inbox, subscription('a'));
    await put(shard, 'a', '0', '1', '2');
    await settled();
    feed.unsubscribe(inbox, 'a');
    await put(shard, 'a', '3');
    await feed.subscribe(inbox, subscription('a'));
    slow.room = 10;
    inbox.pump();
    await put(shard, 'a', '4');
    await settled();
    expect(slow.payloads).toEqual(['0', '4']);
  });

  test('is carried past what retention has removed', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const slow = new Sink(1);
    const inbox = new Inbox(slow, feed);
    await feed.subscribe(inbox, subscription('a'));
    await put(shard, 'a', '0', '1', '2', '3');
    await settled();
    await shard.trim(3);
    slow.room = 10;
    inbox.pump();
    await settled();
    expect(slow.payloads).toEqual(['0', '3']);
  });

  test('does not get, by a subscription it makes while behind, what was there before it', async () => {
    const { feed, storage } = start();
    const shard = storage.shard(await storage.createTopic('mqtt'), 0);
    const slow = new Sink(1);
    const inbox = new Inbox(slow, feed);
    await feed.subscribe(inbox, subscription('a'));
    await put(shard, 'a', '0', '1');
    await put(shard, 'b', 'before');
    await settled();
    await feed.subscribe(inbox, subscription('b'));
    await put(shard, 'b', 'after');
    await settled();
    slow.room = 10;
    inbox.pump();
    await settled();
    expect(slow.payloads).toEqual(['0', '1', 'after']);
  });
});
