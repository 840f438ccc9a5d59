import { ByteReader } from '../codec/byte-reader.ts';
import { type Properties, type PropertyName, readProperties } from '../codec/properties.ts';
import { REASON } from '../codec/reason-codes.ts';
import { malformed, protocolError } from '../errors.ts';
import type { Version } from './connect.ts';

export interface Disconnect {
  readonly type: 'disconnect';
  readonly reason: number;
  readonly properties: Properties;
}

/** `E0 | reason u8 (5, may be left out) | properties (5, may be left out)` */
export function decodeDisconnect(firstByte: number, body: Uint8Array, version: Version): Disconnect {
  if ((firstByte & 0x0f) !== 0) throw protocolError('flags of a DISCONNECT that are not 0 [MQTT-3.14.1-1]');
  const reader = new ByteReader(body);
  if (version < 5 && reader.left > 0) throw malformed('a DISCONNECT with a body (section 3.14)');
  const reason = reader.left > 0 ? reader.u8() : REASON.success;
  const properties = reader.left > 0 ? readProperties(reader, DISCONNECT_RULES) : {};
  reader.done();
  return { type: 'disconnect', reason, properties };
}

/** Sent to MQTT 5 clients only: before, a server had no DISCONNECT. */
export function encodeDisconnect(reason: number): Buffer {
  return Buffer.of(0xe0, 1, reason);
}

const DISCONNECT_RULES = {
  packet: 'DISCONNECT',
  otherwise: REASON.protocolError,
  // Mosquitto's suite has clients send a server reference, and takes it
  allowed: new Set<PropertyName>(['sessionExpiry', 'reasonString', 'user', 'serverReference']),
};
