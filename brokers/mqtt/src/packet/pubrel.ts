import { protocolError } from '../errors.ts';
import { type Ack, decodeAck, encodeAck } from './ack.ts';
import type { Version } from './connect.ts';

export interface Pubrel extends Ack {
  readonly type: 'pubrel';
}

/** `62 | packet id u16 | reason u8 (5) | properties (5)` */
export function decodePubrel(firstByte: number, body: Uint8Array, version: Version): Pubrel {
  if ((firstByte & 0x0f) !== 2) throw protocolError('flags of a PUBREL that are not 2 [MQTT-3.6.1-1]');
  return { type: 'pubrel', ...decodeAck(body, version, 'PUBREL', REASONS) };
}

export function encodePubrel(packet: Pubrel, version: Version): Buffer {
  return encodeAck(0x62, packet.packetId, packet.reason, version);
}

const REASONS = new Set([0x00, 0x92]);
