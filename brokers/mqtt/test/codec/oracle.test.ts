import fc from 'fast-check';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { Framer } from '../../src/codec/framer.ts';
import { MqttError } from '../../src/errors.ts';
import type { Version } from '../../src/packet/connect.ts';
import { decodePacket, encodePacket, type Incoming, type Outgoing } from '../../src/packet/packet.ts';

const version = fc.constantFrom<Version>(4, 5);
const id = fc.integer({ min: 1, max: 65_535 });
const text = fc.string({ unit: fc.constantFrom('a', 'Z', '9', ' ', 'ü', '😀'), maxLength: 12 });
const topic = fc.constantFrom('a', 'a/b', '/', 'ü/$x', 'a b/c');
const filter = fc.constantFrom('#', '+', 'a/+/b', 'a/#', '/', '$SYS/#');
const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each));
const user = fc.option(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 3 }), { nil: undefined });
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);

/** Reads all packets in `stream`. */
function decodeAll(stream: Uint8Array, as: Version | undefined): Incoming[] {
  const framer = new Framer(1_000_000);
  framer.onlyConnect = false;
  framer.push(stream);
  const found: Incoming[] = [];
  for (let body = framer.next(); body !== undefined; body = framer.next())
    found.push(decodePacket(framer.firstByte, body, as));
  return found;
}

function generate(packet: object, protocolVersion: Version): Buffer {
  // the generator takes what the type of its packets is too narrow for
  return mqttPacket.generate(packet as Packet, { protocolVersion });
}

function parse(chunks: readonly Uint8Array[], protocolVersion: Version): Packet {
  const parser = mqttPacket.parser({ protocolVersion });
  let got: Packet | undefined;
  parser.on('packet', (packet) => {
    got = packet;
  });
  parser.on('error', (error) => {
    throw error;
  });
  parser.parse(Buffer.concat(chunks));
  if (got === undefined) throw new Error('no packet');
  return got;
}

describe('our decoder reads what mqtt-packet writes', () => {
  test('CONNECT', () => {
    const will = fc.option(fc.record({ topic, payload: bytes, qos, retain: fc.boolean() }), { nil: undefined });
    const rest = fc.record({ clientId: text, clean: fc.constant(true), keepalive: fc.nat(65_535), will });
    const names = fc.record({ username: text, password: bytes }, { requiredKeys: ['username'] });
    fc.assert(
      fc.property(version, rest, fc.option(names, { nil: {} }), (as, packet, credentials) => {
        const stream = generate(
          { cmd: 'connect', protocolId: 'MQTT', protocolVersion: as, ...packet, ...credentials },
          as,
        );
        const [read] = decodeAll(stream, undefined);
        expect(read).toMatchObject({
          type: 'connect',
          version: as,
          clientId: packet.clientId,
          keepAlive: packet.keepalive,
          cleanStart: true,
        });
        if (read?.type !== 'connect') return;
        expect(read.will?.topic).toBe(packet.will?.topic);
        expect(read.will && Buffer.from(read.will.payload)).toEqual(packet.will?.payload);
        expect([read.will?.qos, read.will?.retain]).toEqual([packet.will?.qos, packet.will?.retain]);
      }),
    );
  });

  test('PUBLISH with its properties', () => {
    const properties = fc.record(
      {
        payloadFormatIndicator: fc.boolean(),
        messageExpiryInterval: fc.nat(0xffffffff),
        topicAlias: fc.integer({ min: 1, max: 65_535 }),
        responseTopic: topic,
        correlationData: bytes,
        contentType: text,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        version,
        topic,
        bytes,
        qos,
        fc.boolean(),
        id,
        properties,
        user,
        (as, name, payload, level, retain, messageId, given, pairs) => {
          const userProperties = pairs === undefined ? undefined : Object.fromEntries(pairs);
          const packet = {
            cmd: 'publish',
            topic: name,
            payload,
            qos: level,
            retain,
            dup: false,
            messageId,
            properties: userProperties === undefined ? given : { ...given, userProperties },
          };
          const [read] = decodeAll(generate(packet, as), as);
          expect(read).toMatchObject({
            type: 'publish',
            topic: name,
            qos: level,
            retain,
            packetId: level === 0 ? 0 : messageId,
          });
          if (read?.type !== 'publish') return;
          expect(Buffer.from(read.payload)).toEqual(payload);
          if (as < 5) return;
          expect(read.properties.messageExpiry).toBe(given.messageExpiryInterval);
          expect(read.properties.topicAlias).toBe(given.topicAlias);
          expect(read.properties.responseTopic).toBe(given.responseTopic);
          expect(read.properties.contentType).toBe(given.contentType);
          expect(read.properties.correlationData && Buffer.from(read.properties.correlationData)).toEqual(
            given.correlationData,
          );
          expect(Object.fromEntries(read.properties.user ?? [])).toEqual(userProperties ?? {});
        },
      ),
    );
  });

  test('SUBSCRIBE, UNSUBSCRIBE, PUBACK, PUBREC, PUBREL, PUBCOMP, PINGREQ, DISCONNECT', () => {
    const subscriptions = fc.array(
      fc.record({ topic: filter, qos, nl: fc.boolean(), rap: fc.boolean(), rh: fc.nat(2) }),
      {
        minLength: 1,
        maxLength: 5,
      },
    );
    fc.assert(
      fc.property(version, id, subscriptions, fc.array(filter, { minLength: 1 }), (as, messageId, wanted, filters) => {
        const [subscribe] = decodeAll(generate({ cmd: 'subscribe', messageId, subscriptions: wanted }, as), as);
        expect(subscribe).toMatchObject({
          packetId: messageId,
          requests: wanted.map(({ topic: name, qos: level, nl, rap, rh }) =>
            as === 5
              ? { filter: name, qos: level, noLocal: nl, retainAsPublished: rap, retainHandling: rh }
              : { filter: name, qos: level },
          ),
        });
        const [unsubscribe] = decodeAll(generate({ cmd: 'unsubscribe', messageId, unsubscriptions: filters }, as), as);
        expect(unsubscribe).toMatchObject({ packetId: messageId, filters });
        for (const cmd of ['puback', 'pubrec', 'pubrel', 'pubcomp']) {
          const [ack] = decodeAll(generate({ cmd, messageId, reasonCode: 0 }, as), as);
          expect(ack).toEqual({ type: cmd, packetId: messageId, reason: 0 });
        }
        expect(decodeAll(generate({ cmd: 'pingreq' }, as), as)).toEqual([{ type: 'pingreq' }]);
        expect(decodeAll(generate({ cmd: 'disconnect' }, as), as)).toMatchObject([{ type: 'disconnect', reason: 0 }]);
      }),
    );
  });
});

describe('mqtt-packet reads what our encoder writes', () => {
  test('PUBLISH', () => {
    fc.assert(
      fc.property(
        version,
        topic,
        fc.uint8Array({ maxLength: 3000 }),
        fc.constantFrom(0 as const, 1 as const),
        id,
        user,
        (as, name, payload, level, packetId, pairs) => {
          const packet: Outgoing = {
            type: 'publish',
            topic: name,
            payload,
            qos: level,
            dup: false,
            retain: false,
            packetId: level === 0 ? 0 : packetId,
            properties: {
              messageExpiry: 7,
              subscriptionIdentifiers: [1, 300],
              ...(pairs === undefined ? {} : { user: pairs }),
            },
          };
          const read = parse(encodePacket(packet, as), as);
          expect(read).toMatchObject({ cmd: 'publish', topic: name, qos: level });
          if (read.cmd !== 'publish') return;
          expect(read.payload).toEqual(Buffer.from(payload));
          if (level > 0) expect(read.messageId).toBe(packetId);
          if (as === 5)
            expect(read.properties).toMatchObject({ messageExpiryInterval: 7, subscriptionIdentifier: [1, 300] });
        },
      ),
    );
  });

  test.each<[Outgoing, object]>([
    [
      { type: 'puback', packetId: 7, reason: 0x10 },
      { cmd: 'puback', messageId: 7, reasonCode: 0x10 },
    ],
    [
      { type: 'pubrel', packetId: 7, reason: 0 },
      { cmd: 'pubrel', messageId: 7 },
    ],
    [
      { type: 'pubcomp', packetId: 7, reason: 0x92 },
      { cmd: 'pubcomp', messageId: 7, reasonCode: 0x92 },
    ],
    [
      { type: 'suback', packetId: 7, codes: [0, 1, 0x9e] },
      { cmd: 'suback', messageId: 7, granted: [0, 1, 0x9e] },
    ],
    [
      { type: 'unsuback', packetId: 7, codes: [0, 0x11] },
      { cmd: 'unsuback', messageId: 7, granted: [0, 0x11] },
    ],
    [{ type: 'pingresp' }, { cmd: 'pingresp' }],
    [
      { type: 'disconnect', reason: 0x8e },
      { cmd: 'disconnect', reasonCode: 0x8e },
    ],
    [
      {
        type: 'connack',
        sessionPresent: false,
        code: 0,
        properties: { receiveMaximum: 9, maximumQos: 1, assignedClientId: 'x' },
      },
      {
        cmd: 'connack',
        reasonCode: 0,
        properties: { receiveMaximum: 9, maximumQoS: 1, assignedClientIdentifier: 'x' },
      },
    ],
  ])('%j', (packet, expected) => {
    expect(parse(encodePacket(packet, 5), 5)).toMatchObject(expected);
  });
});

describe('the decoder', () => {
  test('says MqttError to any bytes it does not take, and nothing else', () => {
    const first = fc.integer({ min: 0x10, max: 0xff });
    fc.assert(
      fc.property(
        fc.constantFrom<Version | undefined>(undefined, 3, 4, 5),
        first,
        fc.uint8Array({ maxLength: 60 }),
        (as, type, body) => {
          try {
            decodePacket(as === undefined ? 0x10 : type, body, as);
          } catch (error) {
            expect(error).toBeInstanceOf(MqttError);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });

  test('so it does to whole packets with a few bytes changed', () => {
    const connect = generate(
      {
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 5,
        clientId: 'c',
        clean: true,
        keepalive: 5,
        will: { topic: 'w', payload: Buffer.from('x'), qos: 1, retain: false, properties: { willDelayInterval: 3 } },
        properties: { receiveMaximum: 5, userProperties: { a: 'b' } },
      },
      5,
    );
    const publish = generate(
      {
        cmd: 'publish',
        topic: 'a/b',
        payload: 'x',
        qos: 1,
        messageId: 9,
        dup: false,
        retain: false,
        properties: { contentType: 'text', userProperties: { a: 'b' } },
      },
      5,
    );
    const subscribe = generate(
      {
        cmd: 'subscribe',
        messageId: 9,
        subscriptions: [{ topic: 'a/+', qos: 1 }],
        properties: { subscriptionIdentifier: 300 },
      },
      5,
    );
    const change = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(
        fc.constantFrom(connect, publish, subscribe),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(40),
        (packet, changes, cut) => {
          const body = Buffer.from(packet.subarray(2, Math.max(2, packet.length - (cut < 10 ? cut : 0))));
          for (const [at, value] of changes) if (body.length > 0) body[at % body.length] = value;
          try {
            decodePacket(packet[0] ?? 0, body, packet === connect ? undefined : 5);
          } catch (error) {
            expect(error).toBeInstanceOf(MqttError);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });
});
