import { ByteWriter, frame } from '../codec/byte-writer.ts';
import type { Version } from './connect.ts';

export interface Unsuback {
  readonly type: 'unsuback';
  readonly packetId: number;
  /** One a filter; not sent before MQTT 5. */
  readonly codes: readonly number[];
}

/** `B0 | packet id u16 | properties (5) | { reason u8 }+ (5)` */
export function encodeUnsuback({ packetId, codes }: Unsuback, version: Version): Buffer {
  const writer = new ByteWriter().u16(packetId);
  if (version === 5) writer.u8(0).raw(Uint8Array.from(codes));
  return frame(0xb0, writer.take());
}
