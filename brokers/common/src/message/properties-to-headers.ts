import type { RecordHeader } from '@robustmq/core';
import type { MessageProperties, QoS, UserProperty } from './message.ts';
import { utf8Text } from './utf8.ts';

/** Headers and user properties whose names begin so belong to this project. docs/records.md lists them. */
export const RESERVED_PREFIX = 'robust.';

export interface Envelope {
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties;
  /** Of the publisher, if subscribers may need to tell that a message is their own. */
  readonly client?: string | undefined;
}

/** What MQTT says about a message, as record headers: fields under the reserved prefix, then user properties under their own names. */
export function toHeaders(envelope: Envelope): RecordHeader[] {
  const { qos, retain, properties, client } = envelope;
  const headers: RecordHeader[] = [];
  const field = (name: keyof typeof FIELDS, value: string): void => {
    headers.push({ key: FIELDS[name], value: Buffer.from(value) });
  };
  if (qos !== 1) field('qos', String(qos));
  if (retain) field('retain', '1');
  if (client !== undefined) field('client', client);
  if (properties.payloadFormat !== undefined) field('payloadFormat', String(properties.payloadFormat));
  if (properties.expiry !== undefined) field('expiry', String(properties.expiry));
  if (properties.contentType !== undefined) field('contentType', properties.contentType);
  if (properties.responseTopic !== undefined) field('responseTopic', properties.responseTopic);
  if (properties.correlationData !== undefined)
    headers.push({ key: FIELDS.correlationData, value: properties.correlationData });
  for (const user of properties.user ?? []) headers.push(toHeader(user));
  return headers;
}

/** The way back. `undefined`: a header is too long for any MQTT property. */
export function fromHeaders(headers: readonly RecordHeader[]): Envelope | undefined {
  if (headers.length === 0) return PLAIN;
  let qos: QoS = 1; // what has no word about it counts as QoS 1
  let retain = false;
  let client: string | undefined;
  const properties: { -readonly [K in keyof MessageProperties]: MessageProperties[K] } = {};
  const user: UserProperty[] = [];
  const seen = new Set<string>();
  for (const header of headers) {
    const name = header.key.startsWith(RESERVED_PREFIX) && !seen.has(header.key) ? fieldOf(header) : undefined;
    if (name === undefined || header.value === null) {
      const property = toProperty(header);
      if (!fits(property[0]) || !fits(property[1])) return undefined;
      user.push(property);
      continue;
    }
    seen.add(header.key);
    const text = utf8Text(header.value) ?? '';
    if (name === 'qos') qos = text === '0' ? 0 : text === '2' ? 2 : 1;
    else if (name === 'retain') retain = true;
    else if (name === 'client') client = text;
    else if (name === 'payloadFormat') properties.payloadFormat = text === '1' ? 1 : 0;
    else if (name === 'expiry') properties.expiry = Number(text);
    else if (name === 'contentType') properties.contentType = text;
    else if (name === 'responseTopic') properties.responseTopic = text;
    else properties.correlationData = header.value;
  }
  if (user.length > 0) properties.user = user;
  return { qos, retain, client, properties };
}

const FIELDS = {
  qos: 'robust.mqtt.qos',
  retain: 'robust.mqtt.retain',
  client: 'robust.mqtt.client',
  payloadFormat: 'robust.mqtt.payload-format',
  expiry: 'robust.mqtt.expiry',
  contentType: 'robust.mqtt.content-type',
  responseTopic: 'robust.mqtt.response-topic',
  correlationData: 'robust.mqtt.correlation-data',
} as const;

const PLAIN: Envelope = Object.freeze({ qos: 1, retain: false, properties: Object.freeze({}) });
const MAX_TEXT_BYTES = 65_535;
const MAX_EXPIRY = 2 ** 32 - 1;

/** The field that a header is, when its value is one that this project would have written. */
function fieldOf({ key, value }: RecordHeader): keyof typeof FIELDS | undefined {
  if (value === null || value.length > MAX_TEXT_BYTES) return undefined;
  if (key === FIELDS.correlationData) return 'correlationData';
  const text = utf8Text(value);
  if (text === undefined) return undefined;
  switch (key) {
    case FIELDS.qos:
      return text === '0' || text === '2' ? 'qos' : undefined;
    case FIELDS.retain:
      return text === '1' ? 'retain' : undefined;
    case FIELDS.client:
      return 'client';
    case FIELDS.payloadFormat:
      return text === '0' || text === '1' ? 'payloadFormat' : undefined;
    case FIELDS.expiry:
      return /^(0|[1-9]\d{0,9})$/.test(text) && Number(text) <= MAX_EXPIRY ? 'expiry' : undefined;
    case FIELDS.contentType:
      return text.includes('\0') ? undefined : 'contentType';
    case FIELDS.responseTopic:
      return text === '' || /[\0+#]/.test(text) ? undefined : 'responseTopic';
    default:
      return undefined;
  }
}

const USER = 'robust.user.';
const NULL = 'robust.null.';
const BASE64 = 'robust.base64.';
const TEXT = 'robust.text.';

/** Any header as a user property: text as it is, the rest under a name that says what it was. */
function toProperty({ key, value }: RecordHeader): UserProperty {
  const text = value === null ? undefined : utf8Text(value);
  if (value === null) return [NULL + key, ''];
  if (text === undefined || text.includes('\0')) return [BASE64 + key, Buffer.from(value).toString('base64')];
  if (key.startsWith(USER + RESERVED_PREFIX) && unescaped(key.slice(USER.length), text) === undefined)
    return [key.slice(USER.length), text];
  if (key.startsWith(RESERVED_PREFIX)) return [TEXT + key, text];
  return [key, text];
}

function toHeader([name, value]: UserProperty): RecordHeader {
  if (!name.startsWith(RESERVED_PREFIX)) return { key: name, value: Buffer.from(value) };
  return unescaped(name, value) ?? { key: USER + name, value: Buffer.from(value) };
}

/** The header that {@link toProperty} made this property of, if it did. */
function unescaped(name: string, value: string): RecordHeader | undefined {
  const candidate = candidateOf(name, value);
  if (candidate === undefined || fieldOf(candidate) !== undefined) return undefined;
  if (candidate.key.startsWith(USER + RESERVED_PREFIX) && name.startsWith(TEXT)) return undefined;
  const [again, text] = toProperty(candidate);
  return again === name && text === value ? candidate : undefined;
}

function candidateOf(name: string, value: string): RecordHeader | undefined {
  if (name.startsWith(NULL)) return { key: name.slice(NULL.length), value: null };
  if (name.startsWith(BASE64)) return { key: name.slice(BASE64.length), value: Buffer.from(value, 'base64') };
  if (name.startsWith(TEXT)) return { key: name.slice(TEXT.length), value: Buffer.from(value) };
  return undefined;
}

function fits(text: string): boolean {
  return text.length * 3 <= MAX_TEXT_BYTES || Buffer.byteLength(text) <= MAX_TEXT_BYTES;
}
