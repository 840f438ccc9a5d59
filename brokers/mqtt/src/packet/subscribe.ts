import type { QoS } from '@robustmq/broker-common';
import { ByteReader } from '../codec/byte-reader.ts';
import { type PropertyName, readProperties } from '../codec/properties.ts';
import { REASON } from '../codec/reason-codes.ts';
import { malformed } from '../errors.ts';
import { checkFlags } from './ack.ts';
import type { Version } from './connect.ts';

export interface Subscribe {
  readonly type: 'subscribe';
  readonly packetId: number;
  readonly identifier: number | undefined;
  readonly requests: readonly SubscribeRequest[];
}

export interface SubscribeRequest {
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

/** `82 | packet id u16 | properties (5) | { filter string | options u8 }+`, options: QoS 3, no local 4, retain as published 8, retain handling 30 (5) */
export function decodeSubscribe(firstByte: number, body: Uint8Array, version: Version): Subscribe {
  checkFlags(firstByte, 2, 'SUBSCRIBE'); // [MQTT-3.8.1-1]
  const reader = new ByteReader(body);
  const packetId = reader.u16();
  if (packetId === 0) throw malformed('packet id 0 in a SUBSCRIBE [MQTT-2.2.1-3]');
  const properties = version === 5 ? readProperties(reader, SUBSCRIBE_RULES) : {};
  const requests: SubscribeRequest[] = [];
  while (reader.left > 0) requests.push(readRequest(reader, version));
  if (requests.length === 0) throw malformed('a SUBSCRIBE without a filter [MQTT-3.8.3-2]');
  return { type: 'subscribe', packetId, identifier: properties.subscriptionIdentifiers?.[0], requests };
}

function readRequest(reader: ByteReader, version: Version): SubscribeRequest {
  const filter = reader.topicFilter();
  const options = reader.u8();
  const qos = options & 0x03;
  const retainHandling = (options >> 4) & 0x03;
  if (qos === 3) throw malformed('a subscription of QoS 3 [MQTT-3.8.3-4]');
  if (retainHandling === 3) throw malformed('retain handling 3 (section 3.8.3.1)');
  if ((options & (version === 5 ? 0xc0 : 0xfc)) !== 0) throw malformed('reserved subscription options [MQTT-3.8.3-5]');
  return {
    filter,
    qos: qos as QoS, // 3 was refused above
    noLocal: (options & 0x04) !== 0,
    retainAsPublished: (options & 0x08) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2, // 3 was refused above
  };
}

const SUBSCRIBE_RULES = {
  packet: 'SUBSCRIBE',
  otherwise: REASON.malformedPacket,
  allowed: new Set<PropertyName>(['subscriptionIdentifiers', 'user']),
};
