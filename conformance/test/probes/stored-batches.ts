import { forEachBatch, nextOffset, type SegmentRead } from '@robustmq/core';

/** Of a run of batches as a probe holds it: those from the one that holds `from`, or the next one. */
export function readFrom(run: Uint8Array, from: number, maxBytes: number): SegmentRead {
  let start = -1;
  let end = 0;
  let next = from;
  forEachBatch(run, (header, at) => {
    if (nextOffset(header) <= from) return;
    if (start === -1) start = at;
    else if (end < at || at + header.bytes - start > maxBytes) return;
    end = at + header.bytes;
    next = nextOffset(header);
  });
  // the caller's for ever, so a copy of its own
  return { bytes: start === -1 ? new Uint8Array(0) : Uint8Array.prototype.slice.call(run, start, end), next };
}

export function offsetForTime(run: Uint8Array, timestamp: number): number | undefined {
  let found: number | undefined;
  forEachBatch(run, (header) => {
    if (found === undefined && header.maxTimestamp >= timestamp) found = header.baseOffset;
  });
  return found;
}

export function spanOf(run: Uint8Array): {
  readonly base: number;
  readonly next: number;
  readonly maxTimestamp: number;
} {
  let base = -1;
  let next = 0;
  let maxTimestamp = Number.NEGATIVE_INFINITY;
  forEachBatch(run, (header) => {
    if (base === -1) base = header.baseOffset;
    next = nextOffset(header);
    maxTimestamp = Math.max(maxTimestamp, header.maxTimestamp);
  });
  return { base, next, maxTimestamp };
}
