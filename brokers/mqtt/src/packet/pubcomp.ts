import { type Ack, checkFlags, decodeAck, encodeAck } from './ack.ts';
import type { Version } from './connect.ts';

export interface Pubcomp extends Ack {
  readonly type: 'pubcomp';
}

/** `70 | packet id u16 | reason u8 (5) | properties (5)` */
export function decodePubcomp(firstByte: number, body: Uint8Array, version: Version): Pubcomp {
  checkFlags(firstByte, 0, 'PUBCOMP');
  return { type: 'pubcomp', ...decodeAck(body, version, 'PUBCOMP', REASONS) };
}

export function encodePubcomp(packet: Pubcomp, version: Version): Buffer {
  return encodeAck(0x70, packet.packetId, packet.reason, version);
}

const REASONS = new Set([0x00, 0x92]);
