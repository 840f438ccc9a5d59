import { MemoryShare, StorageError } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import type { FakeShard } from '../../common/test/fake-storage.ts';
import { type StartedBroker, startBroker } from './start-broker.ts';
import { connectBytes, publishBytes, subscribeBytes, Wire } from './wire.ts';

async function connected(port: number, version: 4 | 5, clientId: string): Promise<Wire> {
  const wire = new Wire(port);
  wire.send(connectBytes(version, clientId));
  expect(hex(await wire.next())).toMatch(/^20/);
  return wire;
}

async function shardOf({ storage }: StartedBroker, topic = 'mqtt'): Promise<FakeShard> {
  return storage.shard(await storage.ensureTopic(topic), 0);
}

function hex(packet: Buffer | string): string {
  return typeof packet === 'string' ? packet : packet.toString('hex');
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setImmediate(resolve));
}

describe('acknowledgements', () => {
  test('a PUBACK is not sent before the append has settled', async () => {
    const started = await startBroker();
    const shard = await shardOf(started);
    let open: () => void = () => {};
    shard.gate = new Promise((resolve) => {
      open = resolve;
    });
    const wire = await connected(started.port, 4, 'a');
    wire.send(publishBytes(4, 'x', '1', 1, 7));
    wire.send(Buffer.of(0xc0, 0));
    expect(hex(await wire.next())).toBe('d000'); // the ping behind it is answered meanwhile
    open();
    expect(hex(await wire.next())).toBe('40020007');
    wire.destroy();
  });

  test('what the storage refuses for good is a reason for MQTT 5 and a closed connection for MQTT 3', async () => {
    const started = await startBroker();
    const shard = await shardOf(started);
    for (const [code, reason] of [
      ['BATCH_INVALID', '83'],
      ['BATCH_TOO_LARGE', '97'],
    ] as const) {
      shard.failures = [new StorageError(code, 'no')];
      const five = await connected(started.port, 5, 'five');
      five.send(publishBytes(5, 'x', '1', 1, 7));
      expect(hex(await five.next())).toBe(`40030007${reason}`);
      five.destroy();
    }
    shard.failures = [new StorageError('BATCH_INVALID', 'no')];
    const four = await connected(started.port, 4, 'four');
    four.send(publishBytes(4, 'x', '1', 1, 7));
    expect(await four.next()).toBe('closed');
  });

  test('a full disk is waited for, and the message stored once there is room', async () => {
    const started = await startBroker();
    const shard = await shardOf(started);
    shard.failures = Array.from({ length: 3 }, () => new StorageError('DISK_FULL', 'full'));
    const wire = await connected(started.port, 4, 'a');
    wire.send(publishBytes(4, 'x', '1', 1, 7));
    expect(hex(await wire.next())).toBe('40020007');
    expect(shard.end).toBe(1);
    wire.destroy();
  });

  test('a name for which no topic may be created is refused, and QoS 0 to it is dropped', async () => {
    const started = await startBroker();
    started.storage.autoCreate = false;
    const wire = await connected(started.port, 5, 'a');
    wire.send(publishBytes(5, 'x', '1', 0));
    wire.send(publishBytes(5, 'x', '1', 1, 7));
    expect(hex(await wire.next())).toBe('4003000790');
    expect(started.metric('robust_mqtt_unroutable_total')).toBe(2);
    wire.destroy();
  });

  test('a message above the topic’s maxMessageBytes is refused alone', async () => {
    const started = await startBroker({ maxPacketBytes: 3_000_000 });
    const wire = await connected(started.port, 5, 'a');
    wire.send(publishBytes(5, 'x', 'x'.repeat(1_100_000), 1, 7));
    wire.send(publishBytes(5, 'x', '1', 1, 8));
    expect(hex(await wire.next())).toBe('4003000797');
    expect(hex(await wire.next())).toBe('4003000810');
    wire.destroy();
  });
});

describe('connections', () => {
  test('[MQTT-3.1.4-3] a second CONNECT with the client id ends the first connection with 0x8E', async () => {
    const { port, metric } = await startBroker();
    const first = await connected(port, 5, 'same');
    const second = await connected(port, 5, 'same');
    expect(hex(await first.next())).toBe('e0018e');
    expect(await first.next()).toBe('closed');
    second.send(Buffer.of(0xc0, 0));
    expect(hex(await second.next())).toBe('d000');
    first.destroy();
    second.destroy();
    await until(() => metric('robust_mqtt_connections') === 0);
  });

  test('[MQTT-3.1.2-22] silence for 1.5 keep alive intervals ends the connection, a packet in time keeps it', async () => {
    const clock = new VirtualClock();
    const { port } = await startBroker({}, { clock });
    const wire = await connected(port, 5, 'quiet'); // keep alive: a minute
    for (let round = 0; round < 3; round++) {
      await clock.advance(80_000);
      wire.send(Buffer.of(0xc0, 0));
      expect(hex(await wire.next())).toBe('d000');
    }
    await clock.advance(91_000);
    expect(hex(await wire.next())).toBe('e0018d');
    expect(await wire.closes()).toBe(true);
  });

  test('is not ended for silence while it is the storage that keeps it waiting', async () => {
    const clock = new VirtualClock();
    const started = await startBroker({}, { clock, memory: new MemoryShare('inflight', 200) });
    const shard = await shardOf(started);
    let open: () => void = () => {};
    shard.gate = new Promise((resolve) => {
      open = resolve;
    });
    const wire = await connected(started.port, 5, 'patient');
    wire.send(Buffer.concat([publishBytes(5, 'x', '1', 1, 1), publishBytes(5, 'x', '2', 1, 2), Buffer.of(0xc0, 0)]));
    await until(() => started.memory.waiting > 0);
    await clock.advance(500_000);
    open();
    expect([hex(await wire.next()), hex(await wire.next()), hex(await wire.next())].sort()).toEqual([
      '4003000110',
      '4003000210',
      'd000',
    ]);
    wire.destroy();
  });

  test('without a CONNECT in time the connection is closed, and without a word', async () => {
    const clock = new VirtualClock();
    const { port, metric } = await startBroker({ connectTimeoutMs: 5000 }, { clock });
    const wire = new Wire(port);
    wire.send(Buffer.of(0x10));
    await until(() => metric('robust_mqtt_connections') === 1);
    await clock.advance(6000);
    expect(await wire.next()).toBe('closed');
  });

  test('a peer that does not hang up after our last word is hung up on', async () => {
    const clock = new VirtualClock();
    const { port, metric } = await startBroker({}, { clock });
    const wire = new Wire(port, true);
    wire.send(Buffer.of(0x20, 0));
    expect(await wire.next()).toBe('closed');
    expect(metric('robust_mqtt_connections')).toBe(1);
    await clock.advance(3000);
    await until(() => metric('robust_mqtt_connections') === 0);
    wire.destroy();
  });

  test('above maxConnections a connection is closed at once, and counted', async () => {
    const { port, metric } = await startBroker({ maxConnections: 1 });
    const first = await connected(port, 4, 'a');
    const second = new Wire(port);
    expect(await second.next()).toBe('closed');
    expect(metric('robust_mqtt_connections_refused_total')).toBe(1);
    first.destroy();
    await until(() => metric('robust_mqtt_connections') === 0);
    (await connected(port, 4, 'b')).destroy();
  });

  test('the will of a connection that breaks is published', async () => {
    const { port } = await startBroker();
    const watcher = await connected(port, 4, 'watcher');
    watcher.send(subscribeBytes(4, 'w', 1));
    await watcher.next();
    const dying = new Wire(port);
    dying.send(Buffer.from('10150004' + '4d515454' + '04' + '06' + '003c' + '000164' + '000177' + '0003627965', 'hex'));
    await dying.next();
    dying.socket.resetAndDestroy();
    expect(hex(await watcher.next())).toBe('30060001' + '77' + '627965');
    watcher.destroy();
  });

  test('drain says good-bye to MQTT 5 clients once everything is acknowledged', async () => {
    const { port, broker } = await startBroker();
    const wire = await connected(port, 5, 'a');
    wire.send(publishBytes(5, 'x', '1', 1, 7));
    await wire.next();
    await broker.drain();
    expect(hex(await wire.next())).toBe('e0018b');
    expect(await wire.next()).toBe('closed');
    wire.destroy();
  });

  test('a port in use is named with its setting', async () => {
    const { port } = await startBroker();
    await expect(startBroker({ port })).rejects.toThrow(`brokers.mqtt.port`);
  });
});

describe('bad input', () => {
  test.each([
    ['garbage', 'ffffffffffffffffffff'],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex')],
    ['a TLS hello', '16030100c6010000c20303'],
    ['a packet above the limit', '10ffffff7f'],
    ['a CONNECT cut off inside, with its length right', '1006' + '00044d515454'],
  ])('%s closes the connection, and the broker goes on', async (_what, bytes) => {
    const { port, metric } = await startBroker();
    const wire = new Wire(port);
    wire.send(Buffer.from(bytes, 'hex'));
    expect(await wire.closes()).toBe(true);
    wire.destroy();
    (await connected(port, 4, 'next')).destroy();
    await until(() => metric('robust_mqtt_connections') === 0);
  });

  test('a packet above the limit is refused with 0x95 before its body comes', async () => {
    const { port } = await startBroker({ maxPacketBytes: 1000 });
    const wire = await connected(port, 5, 'a');
    wire.send(Buffer.of(0x30, 0x80, 0x08));
    expect(hex(await wire.next())).toBe('e00195');
    expect(await wire.closes()).toBe(true);
  });

  test('bytes behind a packet that ended the connection are not looked at', async () => {
    const started = await startBroker();
    const wire = await connected(started.port, 4, 'a');
    wire.send(Buffer.concat([Buffer.of(0xe0, 0), publishBytes(4, 'x', 'late', 1, 1)]));
    expect(await wire.closes()).toBe(true);
    expect(started.storage.topic('mqtt')).toBeUndefined();
  });
});

describe('limits', () => {
  test('a subscription above maxSubscriptions is refused, a repeated one is not', async () => {
    const { port } = await startBroker({ maxSubscriptions: 1 });
    const wire = await connected(port, 5, 'a');
    for (const [filter, code] of [
      ['a', '01'],
      ['b', '97'],
      ['a', '01'],
    ] as const) {
      wire.send(subscribeBytes(5, filter, 1));
      expect(hex(await wire.next())).toBe(`9004000100${code}`);
    }
    wire.destroy();
  });

  test('half-arrived large packets take their room from the memory share, wait for it, and give it back', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryShare('inflight', 1_000_000);
    const { port, metric } = await startBroker({ maxPacketBytes: 2_000_000 }, { clock, memory });
    const whole = publishBytes(4, 'x', 'x'.repeat(600_000), 1, 7);
    const first = await connected(port, 4, 'first');
    first.send(whole.subarray(0, 300_000));
    await until(() => memory.used > 600_000);
    const second = await connected(port, 4, 'second');
    second.send(whole); // waits: there is no room for two
    await until(() => memory.waiting > 0);
    expect(memory.used).toBeLessThan(700_000);
    first.send(whole.subarray(300_000));
    expect(hex(await first.next())).toBe('40020007');
    expect(hex(await second.next())).toBe('40020007');
    await until(() => memory.used === 0);
    const stuck = await connected(port, 5, 'stuck');
    stuck.send(whole.subarray(0, 300_000));
    await until(() => memory.used > 600_000);
    await clock.advance(40_000); // less than its keep alive
    expect(hex(await stuck.next())).toBe('e00183');
    expect(await stuck.closes()).toBe(true);
    expect(memory.used).toBe(0);
    for (const wire of [first, second, stuck]) wire.destroy();
    await clock.advance(3000);
    await until(() => metric('robust_mqtt_connections') === 0);
  });

  test('drain ends while clients go on publishing', async () => {
    const { port, broker } = await startBroker();
    const wire = await connected(port, 5, 'busy');
    const more = publishBytes(5, 'x', '1', 1, 1);
    wire.socket.on('data', () => wire.send(more));
    wire.send(more);
    await wire.next();
    await broker.drain();
    expect(await wire.closes()).toBe(true);
  });
});

describe('pressure', () => {
  test('a storage that stalls stops the reading of publishers, and memory stays bounded', async () => {
    const memory = new MemoryShare('inflight', 500_000);
    const started = await startBroker({}, { memory });
    const shard = await shardOf(started);
    let open: () => void = () => {};
    shard.gate = new Promise((resolve) => {
      open = resolve;
    });
    const wire = await connected(started.port, 4, 'a');
    const payload = 'x'.repeat(1000);
    const count = 20_000;
    for (let at = 1; at <= count; at++) wire.send(publishBytes(4, 'x', payload, 1, at));
    await until(() => memory.used > 400_000 && wire.socket.writableLength > 0);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(memory.used).toBeLessThanOrEqual(500_000);
    expect(wire.socket.writableLength).toBeGreaterThan(1_000_000); // it waits on the client's side
    open();
    shard.gate = undefined;
    for (let at = 1; at <= count; at++) {
      const ack = await wire.next();
      if (hex(ack) !== hex(Buffer.of(0x40, 2, at >> 8, at & 255))) throw new Error(`PUBACK ${at}: ${hex(ack)}`);
    }
    expect(shard.end).toBe(count);
    expect(memory.used).toBe(0);
    wire.destroy();
  });

  test('QoS 0 is dropped while there is no room, and counted', async () => {
    const memory = new MemoryShare('inflight', 5000);
    const started = await startBroker({}, { memory });
    const shard = await shardOf(started);
    let open: () => void = () => {};
    shard.gate = new Promise((resolve) => {
      open = resolve;
    });
    const wire = await connected(started.port, 4, 'a');
    for (let at = 0; at < 100; at++) wire.send(publishBytes(4, 'x', 'x'.repeat(1000), 0));
    wire.send(Buffer.of(0xc0, 0));
    expect(hex(await wire.next())).toBe('d000'); // it waited for nothing
    expect(started.metric('robust_publish_dropped_total')).toBeGreaterThan(90);
    expect(memory.used).toBeLessThanOrEqual(5000);
    open();
    wire.destroy();
  });

  test('a subscriber that never reads holds a bounded amount, and holds back nobody; when it reads it gets every QoS 1 message in order', async () => {
    const started = await startBroker({ maxQueuedBytes: 100_000, maxInflight: 65_535 });
    const dead = await connected(started.port, 4, 'dead');
    dead.send(subscribeBytes(4, 'x', 1));
    await dead.next();
    dead.socket.pause();
    const quick = await connected(started.port, 4, 'quick');
    quick.send(subscribeBytes(4, 'x', 1));
    await quick.next();
    const publisher = await connected(started.port, 4, 'publisher');
    const count = 4000;
    const payload = 'x'.repeat(5000);
    let peak = 0;
    for (let at = 1; at <= count; at++) {
      publisher.send(publishBytes(4, 'x', `${at} ${payload}`, 1, at));
      if (at % 100 > 0) continue;
      for (let each = 0; each < 100; each++) await publisher.next();
      peak = Math.max(peak, started.metric('robust_mqtt_queued_bytes'));
    }
    for (let at = 1; at <= count; at++) expect(await quick.next()).toBeInstanceOf(Buffer);
    expect(peak).toBeLessThan(1_000_000); // of 20 MB
    expect(started.metric('robust_subscriber_fell_behind_total')).toBeGreaterThan(0);
    dead.socket.resume();
    for (let at = 1; at <= count; at++) {
      const packet = await dead.next();
      if (!(packet instanceof Buffer)) throw new Error(`message ${at}: ${packet}`);
      expect(packet.subarray(8, 8 + `${at} x`.length).toString()).toBe(`${at} x`);
    }
    for (const wire of [dead, quick, publisher]) wire.destroy();
  });

  test('a client that sends pings and reads no answers is not read any further', async () => {
    const started = await startBroker();
    const wire = await connected(started.port, 4, 'a');
    wire.socket.pause();
    const pings = Buffer.alloc(2_000_000, Buffer.of(0xc0, 0));
    for (let each = 0; each < 20; each++) wire.send(pings);
    await until(() => started.metric('robust_mqtt_queued_bytes') > 500_000);
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(started.metric('robust_mqtt_queued_bytes')).toBeLessThan(2_500_000);
    wire.destroy();
  });
});
