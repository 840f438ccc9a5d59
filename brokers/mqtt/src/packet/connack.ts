import { ByteWriter, frame } from '../codec/byte-writer.ts';
import { type Properties, writeProperties } from '../codec/properties.ts';
import type { Version } from './connect.ts';

export interface Connack {
  readonly type: 'connack';
  readonly sessionPresent: boolean;
  /** A reason code of MQTT 5, a return code of MQTT 3. */
  readonly code: number;
  readonly properties: Properties;
}

/** `20 | acknowledge flags u8 | code u8 | properties (5)` */
export function encodeConnack(packet: Connack, version: Version): Buffer {
  const writer = new ByteWriter().u8(packet.sessionPresent ? 1 : 0).u8(packet.code);
  if (version === 5) writeProperties(writer, packet.properties, new ByteWriter());
  return frame(0x20, writer.take());
}
