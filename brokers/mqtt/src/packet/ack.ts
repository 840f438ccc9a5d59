import { ByteReader } from '../codec/byte-reader.ts';
import { type PropertyName, readProperties } from '../codec/properties.ts';
import { REASON } from '../codec/reason-codes.ts';
import { malformed, protocolError } from '../errors.ts';
import type { Version } from './connect.ts';

export interface Ack {
  readonly packetId: number;
  /** Success where the packet leaves it out, and before MQTT 5. */
  readonly reason: number;
}

/**
 * What PUBACK, PUBREC, PUBREL and PUBCOMP have in common:
 *
 *     packet id u16 | reason u8 (5, may be left out with all behind it) | properties (5, may be left out)
 */
export function decodeAck(body: Uint8Array, version: Version, packet: string, reasons: ReadonlySet<number>): Ack {
  const reader = new ByteReader(body);
  const packetId = reader.u16();
  if (packetId === 0) throw protocolError(`packet id 0 in a ${packet} [MQTT-2.2.1-3]`);
  let reason = 0;
  if (version === 5 && reader.left > 0) {
    reason = reader.u8();
    if (!reasons.has(reason)) throw protocolError(`reason 0x${reason.toString(16)} in a ${packet}`);
    if (reader.left > 0) readProperties(reader, { ...RULES, packet });
  }
  reader.done();
  return { packetId, reason };
}

/** The short form where it says the same [section 3.4.2.1]. */
export function encodeAck(firstByte: number, packetId: number, reason: number, version: Version): Buffer {
  const long = version === 5 && reason !== REASON.success;
  const packet = Buffer.allocUnsafe(long ? 5 : 4);
  packet[0] = firstByte;
  packet[1] = long ? 3 : 2;
  packet.writeUInt16BE(packetId, 2);
  if (long) packet[4] = reason;
  return packet;
}

/** The flags of the first byte must be as the spec fixes them. */
export function checkFlags(firstByte: number, flags: number, packet: string): void {
  if ((firstByte & 0x0f) !== flags) throw malformed(`flags of a ${packet} that are not ${flags} [MQTT-2.1.3-1]`);
}

const RULES = {
  otherwise: REASON.protocolError,
  allowed: new Set<PropertyName>(['reasonString', 'user']),
};
