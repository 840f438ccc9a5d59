import { describe, expect, test } from 'vitest';
import { ConnectRefused } from '../../src/errors.ts';
import type { Will } from '../../src/packet/connect.ts';
import { Transcript } from './transcript.ts';

const will: Will = { topic: 'w', payload: new Uint8Array(0), qos: 1, retain: false, properties: {} };

function connected(version: 3 | 4 | 5, limits = {}, more = {}): Transcript {
  const it = new Transcript(limits).connect(version, more);
  it.story();
  return it;
}

describe('CONNECT', () => {
  test('[MQTT-3.2.0-1] the CONNACK comes first, and tells MQTT 5 what this floor has and has not', () => {
    expect(new Transcript().connect(5).story()).toEqual([
      '> CONNECT 5 c',
      '= attach c',
      '< CONNACK 00 topicAliasMaximum=10 maximumPacketSize=2000000 receiveMaximum=20 maximumQos=1 retainAvailable=0 sharedAvailable=0',
    ]);
    expect(new Transcript().connect(4).story()).toEqual(['> CONNECT 4 c', '= attach c', '< CONNACK 00']);
  });

  test('[MQTT-3.2.2-21] a session that should outlive the connection is told that it does not', () => {
    const story = new Transcript().connect(5, { cleanStart: false, properties: { sessionExpiry: 3600 } }).story();
    expect(story.at(-1)).toContain('CONNACK 00');
    expect(story.at(-1)).toContain('sessionExpiry=0');
  });

  test('[MQTT-3.2.2-16] a client without an id gets one, and MQTT 5 hears which', () => {
    expect(new Transcript().connect(5, { clientId: '' }).story().at(-1)).toContain('assignedClientId=made-1');
    expect(new Transcript().connect(4, { clientId: '' }).story()).toEqual([
      '> CONNECT 4 (no id)',
      '= attach made-1',
      '< CONNACK 00',
    ]);
  });

  test('a principal that may not connect is told so, in the words of its version', () => {
    for (const [version, code] of [
      [4, '05'],
      [5, '87'],
    ] as const) {
      const it = new Transcript();
      it.forbidden.add('connect c');
      expect(it.connect(version).story().slice(1)).toEqual([
        `< CONNACK ${code}`,
        '= close: the principal may not connect',
      ]);
    }
  });

  test('[MQTT-3.1.0-2] a CONNACK of refusal is sent only before the first CONNACK', () => {
    const it = connected(5);
    it.session.failed(new ConnectRefused(5, 0x85, 2, 'late'));
    expect(it.story()).toEqual(['< DISCONNECT 85', '= close: late']);
  });

  test.each([
    ['a will of QoS 2', { will: { ...will, qos: 2 as const } }, '9b'],
    ['a retained will', { will: { ...will, retain: true } }, '9a'],
    ['an authentication method', { properties: { authenticationMethod: 'x' } }, '8c'],
  ])('%s is refused in MQTT 5', (_what, more, code) => {
    expect(new Transcript().connect(5, more).story()[1]).toBe(`< CONNACK ${code}`);
  });
});

describe('PUBLISH from the client', () => {
  test('[MQTT-4.6.0-2] is acknowledged when it is stored, and in the order of arrival', () => {
    const it = connected(5);
    it.publishes('a', 1, 11).publishes('b', 1, 12).publishes('c', 0);
    it.session.published(2, 0);
    expect(it.story()).toEqual([
      '> PUBLISH a qos 1 id 11',
      '= publish a qos 1 token 1',
      '> PUBLISH b qos 1 id 12',
      '= publish b qos 1 token 2',
      '> PUBLISH c qos 0',
      '= publish c qos 0 token 0',
    ]);
    it.session.published(1, 0x10);
    expect(it.story()).toEqual(['< PUBACK 11 10', '< PUBACK 12 00']);
  });

  test('that could not be stored: MQTT 5 hears why, MQTT 3 loses the connection instead of a false acknowledgement', () => {
    const five = connected(5).publishes('a', 1, 1);
    five.story();
    five.session.published(1, 0x97);
    expect(five.story()).toEqual(['< PUBACK 1 97']);
    const four = connected(4).publishes('a', 1, 1);
    four.story();
    four.session.published(1, 0x97);
    expect(four.story()).toEqual(['= close: a message could not be stored, and MQTT 3 has no word for that']);
  });

  test('[MQTT-3.3.4-7] above the receive maximum ends the connection', () => {
    const it = connected(5, { receiveMaximum: 2 }).publishes('a', 1, 1).publishes('a', 1, 2);
    it.story();
    expect(it.publishes('a', 1, 3).story().slice(1, 2)).toEqual(['< DISCONNECT 93']);
  });

  test('[MQTT-3.2.2-11, 3.2.2-14] of QoS 2 or retained ends an MQTT 5 connection with the reason', () => {
    expect(connected(5).publishes('a', 2, 1).story()[1]).toBe('< DISCONNECT 9b');
    expect(connected(5).publishes('a', 0, 0, { retain: true }).story()[1]).toBe('< DISCONNECT 9a');
  });

  test('of QoS 2 closes an MQTT 3 connection, retained is published and not retained', () => {
    expect(connected(4).publishes('a', 2, 1).story()[1]).toContain('= close: QoS 2');
    expect(connected(4).publishes('a', 0, 0, { retain: true }).story()[1]).toBe('= publish a qos 0 token 0');
  });

  test('[MQTT-3.3.2-12] a topic alias stands for the name it was given last; one that was not given, or too high, ends the connection', () => {
    const alias = (topicAlias: number): object => ({ properties: { topicAlias } });
    const it = connected(5).publishes('long/name', 0, 0, alias(3)).publishes('', 0, 0, alias(3));
    it.publishes('other', 0, 0, alias(3)).publishes('', 0, 0, alias(3));
    expect(it.story().filter((line) => line.startsWith('='))).toEqual([
      '= publish long/name qos 0 token 0',
      '= publish long/name qos 0 token 0',
      '= publish other qos 0 token 0',
      '= publish other qos 0 token 0',
    ]);
    expect(it.publishes('', 0, 0, alias(4)).story()[1]).toBe('< DISCONNECT 82');
    expect(connected(5).publishes('a', 0, 0, alias(11)).story()[1]).toBe('< DISCONNECT 94');
  });

  test('to a name that the client may not write, or that is the server’s own, goes nowhere', () => {
    for (const topic of ['secret', '$SYS/uptime', '$share/g/x']) {
      const it = connected(5);
      it.forbidden.add('write secret');
      expect(it.publishes(topic, 1, 7).story().slice(1)).toEqual(['< PUBACK 7 87']);
      const four = connected(4);
      four.forbidden.add('write secret');
      expect(four.publishes(topic, 1, 7).story().slice(1)).toEqual(['< PUBACK 7 00']);
    }
  });
});

describe('SUBSCRIBE', () => {
  const request = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;

  test('grants at most QoS 1, and refuses what it must filter by filter', () => {
    const it = connected(5);
    it.forbidden.add('read secret/#');
    it.receive({
      type: 'subscribe',
      packetId: 9,
      identifier: undefined,
      requests: [
        { ...request, filter: 'a/+', qos: 2 },
        { ...request, filter: '$share/g/a', qos: 1 },
        { ...request, filter: 'secret/#', qos: 1 },
        { ...request, filter: 'b', qos: 0 },
      ],
    });
    expect(it.story().slice(1)).toEqual(['= subscribe 9 a/+ qos 1, -, -, b qos 0', '< SUBACK 9 01 9e 87 00']);
  });
});

describe('PUBLISH to the client', () => {
  test('[MQTT-3.3.4-9] QoS 1 stops at the window and goes on with each PUBACK; ids are not reused while in flight', () => {
    const it = connected(5, { maxInflight: 100 }, { properties: { receiveMaximum: 2 } });
    for (const topic of ['a', 'b', 'c', 'd']) it.feed(topic, 1);
    expect(it.story()).toEqual(['< PUBLISH a qos 1 id 1', '< PUBLISH b qos 1 id 2']);
    it.receive({ type: 'puback', packetId: 2, reason: 0 });
    it.receive({ type: 'puback', packetId: 2, reason: 0 }); // once more: nothing
    expect(it.story()).toEqual(['> PUBACK 2 00', '< PUBLISH c qos 1 id 3', '= room', '> PUBACK 2 00']);
  });

  test('waits in a bounded queue while the socket takes nothing', () => {
    const it = connected(5);
    it.session.writable(false);
    let taken = 0;
    while (it.feed('a', 0, {}, 500)) taken++;
    expect(taken).toBe(5); // messages, or 4000 bytes
    expect(it.session.queuedBytes).toBeLessThan(4000 + 800);
    expect(it.story()).toEqual([]);
    it.session.writable(true);
    expect(it.story().filter((line) => line.startsWith('<'))).toHaveLength(5);
    expect(it.session.queuedBytes).toBe(0);
  });

  test('[MQTT-3.3.2-5, 3.3.2-6] loses its expiry second by second, and is not sent when it is over', async () => {
    const it = connected(5);
    it.session.writable(false);
    it.feed('short', 1, {}, 1, { expiry: 1 });
    it.feed('long', 1, {}, 1, { expiry: 10 });
    await it.clock.advance(3500);
    it.session.writable(true);
    expect(it.story()).toEqual(['< PUBLISH long qos 1 id 2 messageExpiry=7', '= room']);
  });

  test('[MQTT-3.1.2-24] is not sent when it is larger than the client takes, and does not block what follows', () => {
    const it = connected(5, {}, { properties: { maximumPacketSize: 60 } });
    it.feed('large', 1, {}, 100);
    it.feed('small', 1, {}, 1);
    expect(it.story()).toEqual(['< PUBLISH small qos 1 id 2']);
  });

  test('[MQTT-4.3.2] acknowledged as if it were QoS 2 ends the connection', () => {
    for (const type of ['pubrec', 'pubcomp'] as const) {
      const it = connected(5);
      it.feed('a', 1);
      expect(it.receive({ type, packetId: 1, reason: 0 }).story()).toContain('< DISCONNECT 82');
    }
  });
});

describe('the end', () => {
  const disconnect = (reason: number): { type: 'disconnect'; reason: number; properties: object } => ({
    type: 'disconnect',
    reason,
    properties: {},
  });

  test('[MQTT-3.1.2-8, 3.14.4-3] the will is published when the connection ends in any way but a DISCONNECT of success', () => {
    const ends: [string, (it: Transcript) => void, boolean][] = [
      ['DISCONNECT', (it) => it.receive(disconnect(0)), false],
      ['DISCONNECT with will', (it) => it.receive(disconnect(4)), true],
      ['lost', (it) => it.session.lost('gone'), true],
      ['taken over', (it) => it.session.kick(0x8e, 'again'), true],
      ['an error', (it) => it.publishes('a', 2, 1), true],
    ];
    for (const [what, end, published] of ends) {
      const it = connected(5, {}, { will });
      end(it);
      expect([what, it.story().some((line) => line.startsWith('= close will w'))]).toEqual([what, published]);
    }
  });

  test('happens once, and nothing is sent behind it', () => {
    const it = connected(5, {}, { will }).publishes('a', 1, 1);
    it.session.kick(0x8e, 'taken over');
    it.story();
    it.session.lost('the socket closed');
    it.session.published(1, 0);
    it.session.subscribed(1, [0]);
    it.receive({ type: 'pingreq' });
    expect(it.story()).toEqual(['> PINGREQ']);
    expect(it.session.hasRoom()).toBe(false);
  });

  test('[MQTT-3.14.4-1] a session expiry in the DISCONNECT after none in the CONNECT is an error', () => {
    const it = connected(5);
    it.receive({ type: 'disconnect', reason: 0, properties: { sessionExpiry: 5 } });
    expect(it.story()).toContain('< DISCONNECT 82');
  });
});
