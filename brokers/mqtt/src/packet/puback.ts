import { type Ack, checkFlags, decodeAck, encodeAck } from './ack.ts';
import type { Version } from './connect.ts';

export interface Puback extends Ack {
  readonly type: 'puback';
}

/** `40 | packet id u16 | reason u8 (5) | properties (5)` */
export function decodePuback(firstByte: number, body: Uint8Array, version: Version): Puback {
  checkFlags(firstByte, 0, 'PUBACK');
  return { type: 'puback', ...decodeAck(body, version, 'PUBACK', REASONS) };
}

export function encodePuback(packet: Puback, version: Version): Buffer {
  return encodeAck(0x40, packet.packetId, packet.reason, version);
}

const REASONS = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
