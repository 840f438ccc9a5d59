/**
 * All folds of one shard together, as the `state` that every segment carries at its base:
 *
 *     magic "RF", version u8, then per fold: tag u8, length u32, bytes
 */
import type { BatchHeader } from '../batch/header.ts';
import { MAX_STATE_BYTES } from '../engine.ts';
import { StorageError } from '../errors.ts';
import { Producers } from './producers.ts';

const VERSION = 1;
const PRODUCERS = 1;

export class ShardState {
  readonly producers: Producers;

  constructor(producers: Producers = new Producers()) {
    this.producers = producers;
  }

  /** Folds in one committed batch. Called once for each, in offset order. */
  apply(header: BatchHeader, now: number): void {
    this.producers.apply(header, now);
  }

  encode(now: number): Uint8Array {
    this.producers.expire(now);
    const head = Buffer.from([0x52, 0x46, VERSION]);
    if (this.producers.size === 0) return head;
    const producers = this.producers.encode();
    const section = Buffer.alloc(5);
    section.writeUInt8(PRODUCERS, 0);
    section.writeUInt32BE(producers.length, 1);
    const encoded = Buffer.concat([head, section, producers]);
    if (encoded.length > MAX_STATE_BYTES) throw new Error(`fold state of ${encoded.length} bytes`);
    return encoded;
  }

  /** @throws CORRUPT, FORMAT_TOO_NEW */
  static decode(encoded: Uint8Array, where: string): ShardState {
    const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
    if (bytes.length === 0) return new ShardState();
    if (bytes.length < 3 || bytes[0] !== 0x52 || bytes[1] !== 0x46)
      throw new StorageError('CORRUPT', 'the fold state does not begin with its magic', { where });
    if ((bytes[2] ?? 0) > VERSION)
      throw new StorageError('FORMAT_TOO_NEW', `fold state of version ${bytes[2]}, this build reads up to ${VERSION}`, {
        where,
      });
    try {
      let producers = new Producers();
      for (let at = 3; at < bytes.length; ) {
        const length = bytes.readUInt32BE(at + 1);
        if (bytes[at] === PRODUCERS) producers = Producers.decode(bytes.subarray(at + 5, at + 5 + length));
        at += 5 + length;
      }
      return new ShardState(producers);
    } catch (cause) {
      throw new StorageError('CORRUPT', 'the fold state is damaged', { where, cause });
    }
  }
}
