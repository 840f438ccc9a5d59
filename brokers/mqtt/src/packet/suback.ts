import { ByteWriter, frame } from '../codec/byte-writer.ts';
import type { Version } from './connect.ts';

export interface Suback {
  readonly type: 'suback';
  readonly packetId: number;
  /** One a filter, in order [MQTT-3.8.4-6]: the granted QoS, or why not. */
  readonly codes: readonly number[];
}

/** `90 | packet id u16 | properties (5) | { code u8 }+` */
export function encodeSuback({ packetId, codes }: Suback, version: Version): Buffer {
  const writer = new ByteWriter().u16(packetId);
  if (version === 5) writer.u8(0);
  for (const code of codes) writer.u8(version < 5 && code > 2 ? 0x80 : code);
  return frame(0x90, writer.take());
}
