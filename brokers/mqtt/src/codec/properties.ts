import type { UserProperty } from '@robustmq/broker-common';
import { topicNameProblem } from '@robustmq/broker-common';
import { malformed, protocolError } from '../errors.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { REASON } from './reason-codes.ts';

/** All properties of MQTT 5 (section 2.2.2), as this code names them. */
export interface Properties {
  payloadFormat?: 0 | 1;
  messageExpiry?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  subscriptionIdentifiers?: readonly number[];
  sessionExpiry?: number;
  assignedClientId?: string;
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  requestProblemInformation?: number;
  willDelay?: number;
  requestResponseInformation?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  user?: readonly UserProperty[];
  maximumPacketSize?: number;
  wildcardAvailable?: number;
  subscriptionIdentifiersAvailable?: number;
  sharedAvailable?: number;
}

export type PropertyName = keyof Properties;

/** Which properties a packet may carry, and what a client hears that sends another one. */
export interface PropertyRules {
  readonly packet: string;
  readonly allowed: ReadonlySet<PropertyName>;
  /** The spec says protocol error; Mosquitto's suite wants malformed packet for SUBSCRIBE and UNSUBSCRIBE. */
  readonly otherwise: typeof REASON.protocolError | typeof REASON.malformedPacket;
}

/**
 *     length varint | { identifier varint | value }*
 *
 * Each at most once, but for the user property [MQTT-3.1.2-27 and its like].
 */
export function readProperties(reader: ByteReader, rules: PropertyRules): Properties {
  const length = reader.varint();
  if (length === 0) return EMPTY;
  if (length > reader.left) throw malformed(`properties of ${length} bytes in a packet with ${reader.left} left`);
  const end = reader.at + length;
  const scope = reader.within(end);
  const properties: Properties = {};
  const user: UserProperty[] = [];
  while (scope.left > 0) {
    const id = scope.varint();
    const property = BY_ID.get(id);
    if (property === undefined) throw malformed(`property 0x${id.toString(16)} does not exist`);
    const { name, type } = property;
    const value = readValue(scope, type);
    if (!rules.allowed.has(name))
      throw protocolError(`a ${rules.packet} packet has no property ${name}`, rules.otherwise);
    if (type === 'pair') {
      // the type of a pair is known from the table
      user.push(value as UserProperty);
      continue;
    }
    if (properties[name] !== undefined) throw protocolError(`property ${name} twice in a ${rules.packet} packet`);
    check(name, value);
    // the table gives the name the type that Properties has for it
    Object.assign(properties, { [name]: name === 'subscriptionIdentifiers' ? [value] : value });
  }
  reader.at = end;
  if (user.length > 0) properties.user = user;
  return properties;
}

export function writeProperties(writer: ByteWriter, properties: Properties, scratch: ByteWriter): void {
  for (const name of WRITE_ORDER) {
    const value = properties[name];
    const property = BY_NAME.get(name);
    if (value === undefined || property === undefined) continue;
    const { id, type } = property;
    // each cast follows from the table, as in readProperties
    if (type === 'pair')
      for (const [key, text] of value as readonly UserProperty[]) scratch.u8(id).string(key).string(text);
    else if (type === 'varint') for (const each of value as readonly number[]) scratch.u8(id).varint(each);
    else if (type === 'u8') scratch.u8(id).u8(value as number);
    else if (type === 'u16') scratch.u8(id).u16(value as number);
    else if (type === 'u32') scratch.u8(id).u32(value as number);
    else if (type === 'string') scratch.u8(id).string(value as string);
    else scratch.u8(id).binary(value as Uint8Array);
  }
  writer.varint(scratch.length).raw(scratch.take());
}

const EMPTY: Properties = Object.freeze({});

type Type = 'u8' | 'u16' | 'u32' | 'varint' | 'string' | 'binary' | 'pair';

const TABLE: readonly (readonly [id: number, name: PropertyName, type: Type])[] = [
  [0x01, 'payloadFormat', 'u8'],
  [0x02, 'messageExpiry', 'u32'],
  [0x03, 'contentType', 'string'],
  [0x08, 'responseTopic', 'string'],
  [0x09, 'correlationData', 'binary'],
  [0x0b, 'subscriptionIdentifiers', 'varint'],
  [0x11, 'sessionExpiry', 'u32'],
  [0x12, 'assignedClientId', 'string'],
  [0x13, 'serverKeepAlive', 'u16'],
  [0x15, 'authenticationMethod', 'string'],
  [0x16, 'authenticationData', 'binary'],
  [0x17, 'requestProblemInformation', 'u8'],
  [0x18, 'willDelay', 'u32'],
  [0x19, 'requestResponseInformation', 'u8'],
  [0x1a, 'responseInformation', 'string'],
  [0x1c, 'serverReference', 'string'],
  [0x1f, 'reasonString', 'string'],
  [0x21, 'receiveMaximum', 'u16'],
  [0x22, 'topicAliasMaximum', 'u16'],
  [0x23, 'topicAlias', 'u16'],
  [0x24, 'maximumQos', 'u8'],
  [0x25, 'retainAvailable', 'u8'],
  [0x26, 'user', 'pair'],
  [0x27, 'maximumPacketSize', 'u32'],
  [0x28, 'wildcardAvailable', 'u8'],
  [0x29, 'subscriptionIdentifiersAvailable', 'u8'],
  [0x2a, 'sharedAvailable', 'u8'],
];

interface Property {
  readonly id: number;
  readonly name: PropertyName;
  readonly type: Type;
}

const ALL: readonly Property[] = TABLE.map(([id, name, type]) => ({ id, name, type }));
const BY_ID: ReadonlyMap<number, Property> = new Map(ALL.map((property) => [property.id, property]));
const BY_NAME: ReadonlyMap<PropertyName, Property> = new Map(ALL.map((property) => [property.name, property]));
/** What clients look for first comes first; the order means nothing to the spec. */
const FIRST: readonly PropertyName[] = ['topicAliasMaximum', 'maximumPacketSize', 'receiveMaximum'];
const WRITE_ORDER: readonly PropertyName[] = [
  ...FIRST,
  ...ALL.map((property) => property.name).filter((name) => !FIRST.includes(name)),
];

function readValue(reader: ByteReader, type: Type): number | string | Uint8Array | UserProperty {
  switch (type) {
    case 'u8':
      return reader.u8();
    case 'u16':
      return reader.u16();
    case 'u32':
      return reader.u32();
    case 'varint':
      return reader.varint();
    case 'string':
      return reader.string();
    case 'binary':
      return reader.binary();
    case 'pair':
      return [reader.string(), reader.string()];
  }
}

/** Values that the spec makes a protocol error. */
function check(name: PropertyName, value: unknown): void {
  switch (name) {
    case 'payloadFormat':
    case 'requestProblemInformation':
    case 'requestResponseInformation':
      if (value !== 0 && value !== 1) throw protocolError(`${name} is ${value}, it can be 0 or 1`);
      return;
    case 'receiveMaximum':
    case 'maximumPacketSize':
    case 'subscriptionIdentifiers':
      if (value === 0) throw protocolError(`${name} is 0`);
      return;
    case 'topicAlias':
      if (value === 0) throw protocolError('topic alias 0 [MQTT-3.3.2-8]', REASON.topicAliasInvalid);
      return;
    case 'responseTopic': {
      const problem = typeof value === 'string' ? topicNameProblem(value) : undefined;
      if (problem !== undefined) throw protocolError(`a response topic that ${problem} [MQTT-3.3.2-14]`);
      return;
    }
    default:
  }
}
