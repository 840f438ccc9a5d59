import { encodeBatch, type StorageAdapter } from '@robustmq/core';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { openNode } from '../../../core/test/storage/harness.ts';
import { FakeStorage } from '../../common/test/fake-storage.ts';
import { startOn } from './start-broker.ts';

const clients: MqttClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
});

async function connect(url: string, options: IClientOptions): Promise<MqttClient> {
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, ...options });
  clients.push(client);
  return client;
}

/** Collects what comes; `count` resolves when there are so many. */
function inbox(client: MqttClient): { packets: IPublishPacket[]; count(wanted: number): Promise<IPublishPacket[]> } {
  const packets: IPublishPacket[] = [];
  let wake: () => void = () => {};
  client.on('message', (_topic, _payload, packet) => {
    packets.push(packet);
    wake();
  });
  const count = async (wanted: number): Promise<IPublishPacket[]> => {
    while (packets.length < wanted)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return packets;
  };
  return { packets, count };
}

async function coresOwn(): Promise<StorageAdapter> {
  const node = await openNode();
  onTestFinished(() => node.close());
  return node.storage;
}

const storages: [string, () => Promise<StorageAdapter>][] = [
  ['a fake storage', async () => new FakeStorage()],
  ['the storage layer', coresOwn],
];

describe.each(storages)('on %s', (_name, open) => {
  describe.each([4, 5] as const)('the mqtt client, protocol version %i', (protocolVersion) => {
    test('publishes QoS 0 and 1 and reads both back by wildcards, with the smaller QoS', async () => {
      const { url } = await startOn(await open());
      const subscriber = await connect(url, { protocolVersion });
      const got = inbox(subscriber);
      await subscriber.subscribeAsync({ 'sensors/+/temperature': { qos: 1 }, 'low/#': { qos: 0 } });
      const publisher = await connect(url, { protocolVersion });
      await publisher.publishAsync('sensors/kitchen/temperature', '21.5', { qos: 1 });
      await publisher.publishAsync('sensors/kitchen/temperature', '21.6', { qos: 0 });
      await publisher.publishAsync('low/x', '1', { qos: 1 });
      await publisher.publishAsync('nobody/listens', '1', { qos: 1 });
      const packets = await got.count(3);
      expect(packets.map(({ topic, payload, qos }) => [topic, String(payload), qos])).toEqual([
        ['sensors/kitchen/temperature', '21.5', 1],
        ['sensors/kitchen/temperature', '21.6', 0],
        ['low/x', '1', 0],
      ]);
    });

    test('gets everything that a crowd publishes at once, in each publisher’s order', async () => {
      const { url } = await startOn(await open(), { mappings: [{ match: 'crowd/#', topic: 'crowd', shards: 4 }] });
      const subscriber = await connect(url, { protocolVersion });
      const got = inbox(subscriber);
      await subscriber.subscribeAsync('crowd/#', { qos: 1 });
      const publishers = await Promise.all(Array.from({ length: 8 }, () => connect(url, { protocolVersion })));
      await Promise.all(
        publishers.flatMap((publisher, who) =>
          Array.from({ length: 200 }, (_, at) => publisher.publishAsync(`crowd/${who}`, `${at}`, { qos: 1 })),
        ),
      );
      const packets = await got.count(1600);
      for (let who = 0; who < 8; who++)
        expect(packets.filter(({ topic }) => topic === `crowd/${who}`).map(({ payload }) => Number(payload))).toEqual(
          Array.from({ length: 200 }, (_, at) => at),
        );
    });

    test('stops getting what it has unsubscribed from', async () => {
      const { url } = await startOn(await open());
      const client = await connect(url, { protocolVersion });
      const got = inbox(client);
      await client.subscribeAsync(['a', 'b'], { qos: 1 });
      await client.publishAsync('a', '1', { qos: 1 });
      await got.count(1);
      await client.unsubscribeAsync('a');
      await client.publishAsync('a', '2', { qos: 1 });
      await client.publishAsync('b', '3', { qos: 1 });
      expect((await got.count(2)).map(({ payload }) => String(payload))).toEqual(['1', '3']);
    });

    test('carries a payload of almost the largest packet, and an empty one', async () => {
      const { url } = await startOn(await open());
      const client = await connect(url, { protocolVersion });
      const got = inbox(client);
      await client.subscribeAsync('big', { qos: 1 });
      const payload = Buffer.alloc(990_000, 'x');
      await client.publishAsync('big', payload, { qos: 1 });
      await client.publishAsync('big', '', { qos: 1 });
      const [large, empty] = await got.count(2);
      expect(Buffer.compare(Buffer.from(large?.payload ?? ''), payload)).toBe(0);
      expect(empty?.payload.length).toBe(0);
    });

    test('the will of a client that is taken over reaches others', async () => {
      const { url } = await startOn(await open());
      const watcher = await connect(url, { protocolVersion });
      const got = inbox(watcher);
      await watcher.subscribeAsync('wills/#', { qos: 1 });
      const will = { topic: 'wills/a', payload: Buffer.from('bye'), qos: 1 as const, retain: false };
      await connect(url, { protocolVersion, clientId: 'same', will });
      await connect(url, { protocolVersion, clientId: 'same' });
      const [packet] = await got.count(1);
      expect(String(packet?.payload)).toBe('bye');
    });

    test('reads the records that Kafka wrote: by the topic’s name, or by the key where a mapping says so', async () => {
      const storage = await open();
      const { url } = await startOn(storage, {
        mappings: [{ match: 'devices/+/state', topic: 'devices', template: 'devices/{key}/state' }],
      });
      const orders = await storage.createTopic('orders');
      const client = await connect(url, { protocolVersion });
      const got = inbox(client);
      await client.subscribeAsync('#', { qos: 1 });
      const devices = await storage.createTopic('devices'); // after the subscription: read from its beginning
      const record = (key: string | null, value: string | null): Uint8Array =>
        encodeBatch(
          [
            {
              timestamp: 1,
              key: key === null ? null : Buffer.from(key),
              value: value === null ? null : Buffer.from(value),
            },
          ],
          { codec: 'gzip' },
        );
      await storage.shard(devices, 0).append([record('d7', 'on')]);
      expect((await got.count(1)).map(({ topic }) => topic)).toEqual(['devices/d7/state']);
      await storage.shard(orders, 0).append([record(null, '{}')]);
      const packets = await got.count(2);
      expect(packets.map(({ topic, payload, qos }) => [topic, String(payload), qos])).toEqual([
        ['devices/d7/state', 'on', 1],
        ['orders', '{}', 1],
      ]);
    });
  });

  test('MQTT 5 properties arrive as they were sent', async () => {
    const { url } = await startOn(await open());
    const client = await connect(url, { protocolVersion: 5 });
    const got = inbox(client);
    await client.subscribeAsync('request', { qos: 1, properties: { subscriptionIdentifier: 321 } });
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 100,
      responseTopic: 'reply',
      correlationData: Buffer.of(0, 255),
      contentType: 'text/plain',
      userProperties: { a: ['1', '2'], b: 'ü' },
    };
    await client.publishAsync('request', 'x', { qos: 1, properties });
    const [packet] = await got.count(1);
    expect({ ...packet?.properties, userProperties: { ...packet?.properties?.userProperties } }).toEqual({
      ...properties,
      subscriptionIdentifier: 321,
    });
  });

  test('[MQTT-3.8.3-3] a no-local subscription does not bring back one’s own messages', async () => {
    const { url } = await startOn(await open());
    const client = await connect(url, { protocolVersion: 5 });
    const other = await connect(url, { protocolVersion: 5 });
    const got = inbox(client);
    await client.subscribeAsync('room', { qos: 1, nl: true });
    await client.publishAsync('room', 'mine', { qos: 1 });
    await other.publishAsync('room', 'theirs', { qos: 1 });
    expect((await got.count(1)).map(({ payload }) => String(payload))).toEqual(['theirs']);
  });
});
