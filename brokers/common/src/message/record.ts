/**
 * Messages as records and records as messages; docs/records.md is the specification, and its examples are the test.
 *
 * Two pseudo user properties carry what MQTT has no word for. `robust.tombstone`: the record's value is null, which is not an empty payload.
 * `robust.key`: the record's key, where it does not follow from the topic name.
 */
import type { RecordToWrite, StoredRecord } from '@robustmq/core';
import type { Destination, NamedTopic, TopicMapping } from '../topics/mapping.ts';
import type { Message, UserProperty } from './message.ts';
import { fromHeaders, toHeaders } from './properties-to-headers.ts';
import { utf8Text } from './utf8.ts';

export const TOMBSTONE = 'robust.tombstone';
export const KEY = 'robust.key';
export const KEY_BASE64 = 'robust.key.base64';
export const KEY_NULL = 'robust.key.null';

/**
 * `client`: the publisher's id, when one of its own subscriptions is no-local. `robust.key` is heard only where the key is free: in a topic
 * that has exactly the message's name.
 */
export function toRecord(message: Message, destination: Destination, client?: string): RecordToWrite {
  let key: Uint8Array | null = Buffer.from(destination.key);
  let value: Uint8Array | null = message.payload;
  let { properties } = message;
  const { user } = properties;
  if (user?.some(isPseudo)) {
    const keyIsFree = destination.topic === message.topic;
    const kept = user.filter(([name, text]) => {
      if (name === TOMBSTONE && text === '' && message.payload.length === 0) value = null;
      else if (keyIsFree && name === KEY) key = Buffer.from(text);
      else if (keyIsFree && name === KEY_BASE64) key = Buffer.from(text, 'base64');
      else if (keyIsFree && name === KEY_NULL) key = null;
      else return true;
      return false;
    });
    properties = { ...properties, user: kept };
  }
  const headers = toHeaders({ qos: message.qos, retain: message.retain, properties, client });
  return { timestamp: message.timestamp, key, value, headers };
}

export interface RecordAsMessage {
  readonly message: Message;
  /** Client id of the publisher, if it was noted. */
  readonly client: string | undefined;
}

/** `undefined` when the record can't be put to MQTT: its key gives no name that leads back to this topic, or a header is too long. */
export function fromRecord(
  topic: NamedTopic,
  record: Omit<StoredRecord, 'offset'>,
  mapping: TopicMapping,
): RecordAsMessage | undefined {
  const key = record.key === null ? undefined : utf8Text(record.key);
  const name = mapping.nameOf(topic, key);
  if (name === undefined) return undefined;
  const envelope = fromHeaders(record.headers);
  if (envelope === undefined) return undefined;
  let { properties } = envelope;
  const pseudo: UserProperty[] = [];
  if (record.value === null) pseudo.push([TOMBSTONE, '']);
  if (name === topic.name && key !== name && topic.name !== mapping.catchAll) {
    if (record.key === null) pseudo.push([KEY_NULL, '']);
    else pseudo.push(key === undefined || key.includes('\0') ? [KEY_BASE64, base64(record.key)] : [KEY, key]);
  }
  if (pseudo.some(([, text]) => Buffer.byteLength(text) > 65_535)) return undefined;
  if (pseudo.length > 0) properties = { ...properties, user: [...pseudo, ...(properties.user ?? [])] };
  return {
    client: envelope.client,
    message: {
      topic: name,
      payload: record.value ?? NO_BYTES,
      qos: envelope.qos,
      retain: envelope.retain,
      timestamp: record.timestamp,
      properties,
    },
  };
}

const NO_BYTES = new Uint8Array(0);

function isPseudo([name]: UserProperty): boolean {
  return name === TOMBSTONE || name === KEY || name === KEY_BASE64 || name === KEY_NULL;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
