import { encodeBatch, forEachBatch, nextOffset, patchOffsetAndEpoch } from '@robustmq/core';
import type { Log } from './check.ts';

export interface BatchOptions {
  /** The value of each record begins with it. */
  readonly tag?: string;
  readonly records?: number;
  /** Of each record's value. */
  readonly valueBytes?: number;
  /** Of the records; the last one for those behind it. */
  readonly timestamps?: readonly number[];
  readonly base?: number;
  readonly producer?: { readonly id: number; readonly epoch: number; readonly sequence: number };
}

export const NOON = 1_700_000_000_000;

export function batch(options: BatchOptions = {}): Uint8Array {
  const { tag = 'x', records = 1, valueBytes = 40, timestamps = [NOON], base = 0, producer } = options;
  const bytes = encodeBatch(
    Array.from({ length: records }, (_, i) => ({
      key: null,
      value: Buffer.from(`${tag}/${i}/`.padEnd(valueBytes, '.')),
      headers: [],
      timestamp: timestamps[Math.min(i, timestamps.length - 1)] ?? NOON,
    })),
    producer === undefined ? {} : { producer },
  );
  return at(base, bytes);
}

/** A batch of exactly so many bytes. */
export function batchOfBytes(bytes: number, base = 0): Uint8Array {
  let valueBytes = bytes - 100;
  for (;;) {
    const made = batch({ valueBytes, base });
    if (made.length === bytes) return made;
    valueBytes += bytes - made.length;
  }
}

export function at(base: number, bytes: Uint8Array): Uint8Array {
  patchOffsetAndEpoch(bytes, base, 0);
  return bytes;
}

export interface Stored {
  readonly base: number;
  readonly next: number;
  /** Everything but the offset and the epoch, which are core's to write. */
  readonly body: Buffer;
}

export function stored(bytes: Uint8Array): Stored[] {
  const found: Stored[] = [];
  forEachBatch(bytes, (header, from) => {
    const body = Buffer.from(bytes.subarray(from + 16, from + header.bytes));
    found.push({ base: header.baseOffset, next: nextOffset(header), body });
  });
  return found;
}

export function bodyOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.subarray(16));
}

/** Everything committed, a piece at a time. */
export async function readAll(log: Pick<Log, 'read' | 'offsets'>, maxBytes: number = 64 * 1024): Promise<Stored[]> {
  const found: Stored[] = [];
  const { start, committed } = await log.offsets();
  for (let from = start; from < committed; ) {
    const { bytes, next } = await log.read(from, maxBytes);
    found.push(...stored(bytes));
    if (next <= from) throw new Error(`a read from ${from} of ${committed} says to go on at ${next}`);
    from = next;
  }
  return found;
}

/** The same of one reader or writer of a segment. */
export function logOf(reader: {
  offsets(): { readonly base: number; readonly committed: number };
  read(from: number, options: { readonly maxBytes: number }): Promise<{ bytes: Uint8Array; next: number }>;
}): Pick<Log, 'read' | 'offsets'> {
  return {
    read: (from: number, maxBytes: number) => reader.read(from, { maxBytes }),
    offsets: async () => ({ start: reader.offsets().base, committed: reader.offsets().committed }),
  };
}
