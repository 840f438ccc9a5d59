export interface Pingresp {
  readonly type: 'pingresp';
}

/** `D0 00` */
export function encodePingresp(): Buffer {
  return Buffer.of(0xd0, 0);
}
