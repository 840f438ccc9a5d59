import { type Ack, checkFlags, decodeAck } from './ack.ts';
import type { Version } from './connect.ts';

export interface Pubrec extends Ack {
  readonly type: 'pubrec';
}

/** `50 | packet id u16 | reason u8 (5) | properties (5)` */
export function decodePubrec(firstByte: number, body: Uint8Array, version: Version): Pubrec {
  checkFlags(firstByte, 0, 'PUBREC');
  return { type: 'pubrec', ...decodeAck(body, version, 'PUBREC', REASONS) };
}

const REASONS = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
