import { BATCH_HEADER_BYTES, type BatchHeader, nextOffset, readHeader } from '@robustmq/core/batch';
import type { Placement } from './format.ts';
import { corrupt } from './image-error.ts';

/** Where a batch begins in the bytes at hand. */
export interface FoundBatch {
  readonly at: number;
  readonly header: BatchHeader;
}

/** The first batch in [from, to) for which `holds` is true. The bytes were checked: what is no batch was none when it was stored. */
export function findBatch(
  place: Placement,
  bytes: Uint8Array,
  from: number,
  to: number,
  holds: (header: BatchHeader) => boolean,
): FoundBatch | undefined {
  for (let at = from; at < to; ) {
    const header = to - at < BATCH_HEADER_BYTES ? undefined : readHeader(bytes, at);
    if (header === undefined || header.bytes < BATCH_HEADER_BYTES || at + header.bytes > to)
      throw corrupt(place, 'it was stored with bytes that are no batch');
    if (holds(header)) return { at, header };
    at += header.bytes;
  }
  return undefined;
}

/** Where the batches end that lie in [from, to) and end at or in front of `limit`, at least the first. */
export function batchesUpTo(
  place: Placement,
  bytes: Uint8Array,
  from: number,
  to: number,
  limit: number,
): { readonly end: number; readonly next: number } {
  let end = from;
  let next = 0;
  findBatch(place, bytes, from, to, (header) => {
    if (end > from && end + header.bytes > limit) return true;
    end += header.bytes;
    next = nextOffset(header);
    return false;
  });
  return { end, next };
}
