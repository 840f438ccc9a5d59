import {
  type Delivery,
  type Message,
  type MessageProperties,
  NO_PROPERTIES,
  secondsLeft,
} from '@robustmq/broker-common';
import type { Properties } from '../codec/properties.ts';
import type { Version, Will } from '../packet/connect.ts';
import type { Publish } from '../packet/publish.ts';

/** Up to here bytes are copied out of the socket's buffer: as a view they would keep all of it until they are stored. */
const COPY_BYTES = 4096;

/** A PUBLISH (or will) as a message. A large payload stays a view. */
export function toMessage(
  packet: Pick<Publish | Will, 'qos' | 'retain' | 'payload' | 'properties'>,
  topic: string,
  timestamp: number,
): Message {
  return {
    topic,
    payload: own(packet.payload),
    qos: packet.qos,
    retain: packet.retain,
    timestamp,
    properties: toMessageProperties(packet.properties),
  };
}

function toMessageProperties(from: Properties): MessageProperties {
  if (Object.keys(from).length === 0) return NO_PROPERTIES;
  const { payloadFormat, messageExpiry, contentType, responseTopic, correlationData, user } = from;
  return {
    ...(payloadFormat === undefined ? undefined : { payloadFormat }),
    ...(messageExpiry === undefined ? undefined : { expiry: messageExpiry }),
    ...(contentType === undefined ? undefined : { contentType }),
    ...(responseTopic === undefined ? undefined : { responseTopic }),
    ...(correlationData === undefined ? undefined : { correlationData: own(correlationData) }),
    ...(user === undefined ? undefined : { user }),
  };
}

function own(bytes: Uint8Array): Uint8Array {
  return bytes.length > COPY_BYTES ? bytes : Buffer.from(bytes);
}

/** `undefined` when the message has expired by `now` [MQTT-3.3.2-5]. */
export function toPublish(delivery: Delivery, packetId: number, version: Version, now: number): Publish | undefined {
  const { message, qos, retain } = delivery;
  const left = secondsLeft(message, now);
  if (left !== undefined && left <= 0) return undefined;
  return {
    type: 'publish',
    qos,
    dup: false,
    retain,
    topic: message.topic,
    packetId,
    properties: version === 5 ? toProperties(message.properties, left, delivery.identifiers) : NONE,
    payload: message.payload,
  };
}

function toProperties(
  from: MessageProperties,
  left: number | undefined,
  subscriptionIdentifiers: readonly number[],
): Properties {
  const { expiry, ...rest } = from;
  return {
    ...rest,
    ...(left === undefined ? undefined : { messageExpiry: left }), // [MQTT-3.3.2-6]
    ...(subscriptionIdentifiers.length === 0 ? undefined : { subscriptionIdentifiers }),
  };
}

const NONE: Properties = Object.freeze({});
