import { malformed } from '../errors.ts';
import { checkFlags } from './ack.ts';

export interface Pingreq {
  readonly type: 'pingreq';
}

/** `C0 00` */
export function decodePingreq(firstByte: number, body: Uint8Array): Pingreq {
  checkFlags(firstByte, 0, 'PINGREQ');
  if (body.length > 0) throw malformed('a PINGREQ with a body (section 3.12)');
  return { type: 'pingreq' };
}
