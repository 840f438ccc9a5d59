import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  filterMatches,
  fromHeaders,
  type MessageProperties,
  murmur2,
  type QoS,
  shardOf,
  TopicMapping,
  toHeaders,
} from '../src/index.ts';

const rules = [
  { match: 'sensors/#', topic: 'sensors' },
  { match: 'devices/+/state', topic: 'devices', template: 'devices/{key}/state' },
];
const mapping = new TopicMapping(rules, 'mqtt');
const topics = ['sensors', 'devices', 'orders', 'mqtt'].map((name) => ({ name, internal: false }));
const level = fc.constantFrom('sensors', 'devices', 'orders', 'state', 'x', '');
const name = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '');

describe('the mapping of MQTT names', () => {
  test('leads back: the record of a name gives the name, and every filter that matches it reads the topic', () => {
    const filter = fc
      .array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 })
      .map((all) => all.join('/'));
    fc.assert(
      fc.property(name, fc.oneof(filter, fc.constantFrom('#', 'sensors/#', 'devices/#')), (text, pattern) => {
        const { topic, key } = mapping.destination(text, (each) => each === 'orders');
        const known = topics.find((each) => each.name === topic);
        if (known === undefined) throw new Error(`no topic ${topic}`);
        expect(mapping.nameOf(known, key)).toBe(text);
        if (pattern !== '' && filterMatches(pattern, text)) expect(mapping.mayHold(known, pattern)).toBe(true);
      }),
    );
  });

  test('never gives names to internal topics', () => {
    expect(mapping.nameOf({ name: '__offsets', internal: true }, 'x')).toBeUndefined();
    expect(mapping.mayHold({ name: '__offsets', internal: true }, '#')).toBe(false);
  });

  test('reads the catch-all for everything but what a rule takes whole', () => {
    expect(mapping.configured('sensors/kitchen')).toEqual(['sensors']);
    expect(mapping.configured('devices/+/state')).toEqual(['devices', 'mqtt']);
    expect(mapping.configured('#')).toEqual(['sensors', 'devices', 'mqtt']);
  });

  test.each([
    [{ match: 'a/#/b', topic: 't' }, 'match'],
    [{ match: 'a', topic: 'no/slash' }, 'topic'],
    [{ match: 'a', topic: 'mqtt' }, 'catch-all'],
    [{ match: 'a/+', topic: 't', template: 'a/x' }, '{key}'],
    [{ match: 'a/+', topic: 't', template: 'b/{key}' }, 'template'],
  ])('refuses %j', (rule, why) => {
    expect(() => new TopicMapping([rule], 'mqtt')).toThrow(why);
  });
});

describe('the shard of a key', () => {
  // the function that kafkajs uses, as the witness
  const theirs = createRequire(import.meta.url)('kafkajs/src/producer/partitioners/default/murmur2') as (
    key: Buffer,
  ) => number;

  test('is the partition that Kafka clients choose', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 100 }), (key, shards) => {
        expect(murmur2(key)).toBe(theirs(Buffer.from(key)) | 0);
        expect(shardOf(key, shards)).toBe((theirs(Buffer.from(key)) & 0x7fffffff) % shards);
      }),
    );
  });
});

describe('headers and user properties', () => {
  const reserved = fc.constantFrom(
    'robust.mqtt.qos',
    'robust.mqtt.expiry',
    'robust.user.robust.mqtt.qos',
    'robust.user.x',
    'robust.null.k',
    'robust.base64.k',
    'robust.text.robust.k',
    'robust.text.robust.user.robust.k',
    'robust.text.robust.mqtt.qos',
    'robust.',
  );
  const text = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((each) => !each.includes('\0'));
  const properties: fc.Arbitrary<MessageProperties> = fc.record(
    {
      payloadFormat: fc.constantFrom(0 as const, 1 as const),
      expiry: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      contentType: text,
      responseTopic: fc.constantFrom('a', 'reply/to'),
      correlationData: fc.uint8Array({ maxLength: 8 }),
      user: fc.array(fc.tuple(fc.oneof(text, reserved), fc.oneof(text, fc.constantFrom('0', '', 'AP8='))), {
        minLength: 1,
        maxLength: 5,
      }),
    },
    { requiredKeys: [] },
  );

  test('every message comes back as it was', () => {
    fc.assert(
      fc.property(fc.constantFrom<QoS>(0, 1, 2), fc.boolean(), properties, (qos, retain, given) => {
        const back = fromHeaders(toHeaders({ qos, retain, properties: given }));
        expect(back).toEqual({ qos, retain, client: undefined, properties: given });
      }),
      { numRuns: 2000 },
    );
  });

  test('every list of headers without a field of ours comes back as it was', () => {
    const key = fc.oneof(text, reserved);
    const value = fc.oneof(
      fc.constant(null),
      fc.uint8Array({ maxLength: 6 }),
      text.map((each) => Buffer.from(each)),
    );
    fc.assert(
      fc.property(fc.array(fc.record({ key, value }), { maxLength: 5 }), (headers) => {
        const read = fromHeaders(headers);
        if (read === undefined || headers.some((header) => header.key.startsWith('robust.mqtt.'))) return;
        if (headers.some((header) => header.key.startsWith('robust.user.'))) return;
        const written = toHeaders(read);
        const plain = (list: readonly { key: string; value: Uint8Array | null }[]): unknown =>
          list.map((header) => [header.key, header.value === null ? null : Buffer.from(header.value).toString('hex')]);
        expect(plain(written)).toEqual(plain(headers));
      }),
      { numRuns: 2000 },
    );
  });
});
