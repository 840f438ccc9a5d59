import { ByteReader } from '../codec/byte-reader.ts';
import { type PropertyName, readProperties } from '../codec/properties.ts';
import { REASON } from '../codec/reason-codes.ts';
import { malformed } from '../errors.ts';
import { checkFlags } from './ack.ts';
import type { Version } from './connect.ts';

export interface Unsubscribe {
  readonly type: 'unsubscribe';
  readonly packetId: number;
  readonly filters: readonly string[];
}

/** `A2 | packet id u16 | properties (5) | { filter string }+` */
export function decodeUnsubscribe(firstByte: number, body: Uint8Array, version: Version): Unsubscribe {
  checkFlags(firstByte, 2, 'UNSUBSCRIBE'); // [MQTT-3.10.1-1]
  const reader = new ByteReader(body);
  const packetId = reader.u16();
  if (packetId === 0) throw malformed('packet id 0 in an UNSUBSCRIBE [MQTT-2.2.1-3]');
  if (version === 5) readProperties(reader, UNSUBSCRIBE_RULES);
  const filters: string[] = [];
  while (reader.left > 0) filters.push(reader.topicFilter());
  if (filters.length === 0) throw malformed('an UNSUBSCRIBE without a filter [MQTT-3.10.3-2]');
  return { type: 'unsubscribe', packetId, filters };
}

const UNSUBSCRIBE_RULES = {
  packet: 'UNSUBSCRIBE',
  otherwise: REASON.malformedPacket,
  allowed: new Set<PropertyName>(['user']),
};
