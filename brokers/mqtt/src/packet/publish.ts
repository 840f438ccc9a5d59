import type { QoS } from '@robustmq/broker-common';
import { ByteReader } from '../codec/byte-reader.ts';
import { ByteWriter, sizeOfVarint, writeVarint } from '../codec/byte-writer.ts';
import { type Properties, type PropertyName, readProperties, writeProperties } from '../codec/properties.ts';
import { REASON } from '../codec/reason-codes.ts';
import { malformed, protocolError } from '../errors.ts';
import type { Version } from './connect.ts';

export interface Publish {
  readonly type: 'publish';
  readonly qos: QoS;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Empty when a topic alias stands for it. */
  readonly topic: string;
  /** 0 for QoS 0. */
  readonly packetId: number;
  readonly properties: Properties;
  /** A view of the input. */
  readonly payload: Uint8Array;
}

/** `3x: DUP 8, QoS 4 and 2, RETAIN 1 | topic name string | packet id u16 (QoS 1, 2) | properties (5) | payload` */
export function decodePublish(firstByte: number, body: Uint8Array, version: Version): Publish {
  const qos = (firstByte >> 1) & 0x03;
  const dup = (firstByte & 0x08) !== 0;
  if (qos === 3) throw malformed('QoS 3 [MQTT-3.3.1-4]');
  if (qos === 0 && dup && version > 3) throw malformed('DUP at QoS 0 [MQTT-3.3.1-2]');
  const reader = new ByteReader(body);
  // empty: a topic alias may stand for it
  const aliased = version === 5 && body[0] === 0 && body[1] === 0;
  const topic = aliased ? reader.string() : reader.topicName();
  const packetId = qos === 0 ? 0 : reader.u16();
  if (qos > 0 && packetId === 0) throw protocolError('packet id 0 [MQTT-2.2.1-3]');
  const properties = version === 5 ? readProperties(reader, PUBLISH_RULES) : NONE;
  if (aliased && properties.topicAlias === undefined)
    throw protocolError('an empty topic name without a topic alias (section 3.3.2.1)');
  return {
    type: 'publish',
    qos: qos as QoS, // 3 was refused above
    dup,
    retain: (firstByte & 0x01) !== 0,
    topic,
    packetId,
    properties,
    payload: reader.rest(),
  };
}

/** Payloads up to this size are copied behind their header, larger ones follow as they are. */
const COPY_BYTES = 1024;

/** The packet as one or two chunks. */
export function encodePublish(packet: Publish, version: Version): readonly Uint8Array[] {
  const { topic, payload, qos } = packet;
  const topicBytes = Buffer.byteLength(topic);
  let properties: Buffer = NO_BYTES;
  if (version === 5) {
    const writer = new ByteWriter(2);
    writeProperties(writer, packet.properties, new ByteWriter());
    properties = writer.take();
  }
  const remaining = 2 + topicBytes + (qos > 0 ? 2 : 0) + properties.length + payload.length;
  const headBytes = 1 + sizeOfVarint(remaining) + remaining - payload.length;
  const joined = payload.length <= COPY_BYTES;
  const head = Buffer.allocUnsafe(joined ? headBytes + payload.length : headBytes);
  head[0] = 0x30 | (packet.dup ? 0x08 : 0) | (qos << 1) | (packet.retain ? 0x01 : 0);
  let at = writeVarint(head, 1, remaining);
  at = head.writeUInt16BE(topicBytes, at);
  at += head.write(topic, at);
  if (qos > 0) at = head.writeUInt16BE(packet.packetId, at);
  head.set(properties, at);
  if (!joined) return [head, payload];
  head.set(payload, at + properties.length);
  return [head];
}

const NONE: Properties = Object.freeze({});
const NO_BYTES = Buffer.alloc(0);

const PUBLISH_RULES = {
  packet: 'PUBLISH',
  otherwise: REASON.protocolError,
  // a subscription identifier comes from servers only [MQTT-3.3.4-6]
  allowed: new Set<PropertyName>([
    'payloadFormat',
    'messageExpiry',
    'topicAlias',
    'responseTopic',
    'correlationData',
    'user',
    'contentType',
  ]),
};
