import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeRecords, encodeBatch, type RecordToWrite } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { fromRecord, type Message, type MessageProperties, TopicMapping, toRecord } from '../src/index.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/records.md'), 'utf8');
const mapping = new TopicMapping(
  [
    { match: 'sensors/#', topic: 'sensors' },
    { match: 'devices/+/state', topic: 'devices', template: 'devices/{key}/state' },
  ],
  'mqtt',
);
const exists = (topic: string): boolean => ['sensors', 'devices', 'orders', 'mqtt'].includes(topic);
const AT = 1_700_000_000_123;

interface Example {
  readonly direction: 'both' | 'read';
  readonly message: {
    readonly topic: string;
    readonly payload: string;
    readonly qos: 0 | 1 | 2;
    readonly retain?: boolean;
    readonly properties?: Omit<MessageProperties, 'correlationData'> & { readonly correlationData?: string };
  } | null;
  readonly record: {
    readonly topic: string;
    readonly key: string | null;
    readonly value: string | null;
    readonly headers: readonly [string, string | null][];
  };
}

const examples = [...page.matchAll(/```json records\n([\s\S]*?)```/g)].map(
  ([, text]) => JSON.parse(text ?? '') as Example,
);

describe('docs/records.md', () => {
  test('has examples', () => expect(examples.length).toBeGreaterThan(10));

  test.each([...page.matchAll(/^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \|$/gm)].map((row) => row.slice(1, 4)))(
    'the name %s goes to topic %s with key %s, and back',
    (name = '', topic = '', key = '') => {
      expect(mapping.destination(name, exists)).toMatchObject({ topic, key });
      expect(mapping.nameOf({ name: topic, internal: false }, key)).toBe(name);
    },
  );

  test.each(examples.map((example) => [example.record.topic, JSON.stringify(example.record), example]))(
    'topic %s: %s',
    (_topic, _text, example) => {
      const record = recordOf(example);
      const [stored] = decodeRecords(encodeBatch([record]));
      if (stored === undefined) throw new Error('no record');
      const read = fromRecord({ name: example.record.topic, internal: false }, stored, mapping)?.message;
      const message = messageOf(example);
      expect(plain(read)).toEqual(plain(message));
      if (example.direction === 'read' || message === undefined) return;
      const destination = mapping.destination(message.topic, exists);
      expect(destination.topic).toBe(example.record.topic);
      expect(plain(toRecord(message, destination))).toEqual(plain(record));
    },
  );
});

function recordOf({ record }: Example): RecordToWrite {
  return {
    timestamp: AT,
    key: bytes(record.key),
    value: bytes(record.value),
    headers: record.headers.map(([key, value]) => ({ key, value: bytes(value) })),
  };
}

function messageOf({ message }: Example): Message | undefined {
  if (message === null) return undefined;
  const { correlationData, ...properties } = message.properties ?? {};
  const correlation = correlationData === undefined ? null : bytes(correlationData);
  return {
    topic: message.topic,
    payload: bytes(message.payload) ?? new Uint8Array(0),
    qos: message.qos,
    retain: message.retain ?? false,
    timestamp: AT,
    properties: correlation === null ? properties : { ...properties, correlationData: correlation },
  };
}

function bytes(text: string | null): Uint8Array | null {
  if (text === null) return null;
  return text.startsWith('base64:') ? Buffer.from(text.slice(7), 'base64') : Buffer.from(text);
}

/** Comparable: bytes as hex, whatever class they are of. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}
