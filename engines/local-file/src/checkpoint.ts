/**
 * From where the write-ahead log must be read at the next start, and what was known of open segments then. One file, replaced as a
 * whole: magic "RMQC", version u32, length u32, crc u32 of the rest, all little-endian; then JSON.
 */
import { crc32c } from '@node-rs/crc32';
import { StorageError } from '@robustmq/core';
import type { WalPlace } from './wal/wal.ts';

export const CHECKPOINT_MAGIC = 0x43514d52;
export const CHECKPOINT_VERSION = 1;

export interface Checkpoint {
  /** Of the last time the directory was opened. */
  readonly generation: number;
  /** File sequences at or above are free to use. */
  readonly nextSequence: number;
  readonly nextNumber: number;
  /** Everything in front of it is in segment files. */
  readonly place: WalPlace;
  /** Names of the log's files that were there: each may hold something by now. Missing: not known. */
  readonly logFiles?: readonly string[];
  /** The largest group the log may hold. */
  readonly maxGroupBytes: number;
  /** Something was lost of which nobody knows what: an id that is not found may have been there. */
  readonly suspect: boolean;
  readonly segments: readonly SegmentRow[];
}

export interface SyncedFacts {
  readonly end: number;
  readonly bytes: number;
  readonly maxTimestamp: number;
  readonly indexCount: number;
  readonly lastIndexed: number;
}

/** With what its files hold for certain. */
export interface SegmentRow extends SyncedFacts {
  readonly id: string;
  readonly number: number;
  readonly nonce: number;
  readonly base: number;
  readonly epoch: number;
  readonly fencedEpoch: number;
  /** Core's state in base64; missing: it has a file. */
  readonly state?: string;
  readonly corrupt?: string;
}

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const body = Buffer.from(JSON.stringify(checkpoint));
  const bytes = Buffer.concat([Buffer.alloc(16), body]);
  bytes.writeUInt32LE(CHECKPOINT_MAGIC, 0);
  bytes.writeUInt32LE(CHECKPOINT_VERSION, 4);
  bytes.writeUInt32LE(body.length, 8);
  bytes.writeUInt32LE(crc32c(body), 12);
  return bytes;
}

/** `undefined` when it is damaged. @throws FORMAT_TOO_NEW */
export function decodeCheckpoint(bytes: Buffer, path: string): Checkpoint | undefined {
  if (bytes.length < 16 || bytes.readUInt32LE(0) !== CHECKPOINT_MAGIC) return undefined;
  const version = bytes.readUInt32LE(4);
  const body = bytes.subarray(16);
  if (bytes.readUInt32LE(8) !== body.length || bytes.readUInt32LE(12) !== crc32c(body)) return undefined;
  if (version > CHECKPOINT_VERSION)
    throw new StorageError('FORMAT_TOO_NEW', `The checkpoint has version ${version}, this is ${CHECKPOINT_VERSION}`, {
      where: path,
      hint: 'A newer release has written it: start that one',
    });
  return JSON.parse(body.toString());
}
