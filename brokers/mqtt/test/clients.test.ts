import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import { startBroker } from './start-broker.ts';

const clients: MqttClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
});

async function connect(url: string, options: IClientOptions): Promise<MqttClient> {
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, ...options });
  clients.push(client);
  return client;
}

function nextMessage(client: MqttClient): Promise<IPublishPacket> {
  return new Promise((resolve) => client.once('message', (_topic, _payload, packet) => resolve(packet)));
}

describe.each([4, 5] as const)('the mqtt client, protocol version %i', (protocolVersion) => {
  test('publishes QoS 1 and reads it back by a wildcard', async () => {
    const { url, storage } = await startBroker();
    const subscriber = await connect(url, { protocolVersion });
    expect(await subscriber.subscribeAsync('sensors/+/temperature', { qos: 1 })).toMatchObject([{ qos: 1 }]);
    const publisher = await connect(url, { protocolVersion });
    const message = nextMessage(subscriber);
    await publisher.publishAsync('sensors/kitchen/temperature', '21.5', { qos: 1 });
    const { topic, payload, qos } = await message;
    expect([topic, String(payload), qos]).toEqual(['sensors/kitchen/temperature', '21.5', 1]);
    const topic0 = storage.topic('mqtt');
    expect(topic0 && storage.shard(topic0, 0).records).toBe(1);
  });
});
