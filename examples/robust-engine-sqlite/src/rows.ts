import { forEachBatch, headerDigest, nextOffset } from '@robustmq/core';
import type { BatchRow } from './work.ts';

/** A row for each batch. `prev` is the end of what lies before the first of them. */
export function rowsOf(chunks: readonly Uint8Array[], prev: number): BatchRow[] {
  const rows: BatchRow[] = [];
  let from = 0;
  let before = prev;
  for (const chunk of chunks) {
    forEachBatch(chunk, (header, at) => {
      rows.push({
        at: from + at,
        length: header.bytes,
        prev: before,
        base: header.baseOffset,
        next: nextOffset(header),
        maxTimestamp: header.maxTimestamp,
        digest: headerDigest(0, chunk, at),
      });
      before = nextOffset(header);
    });
    from += chunk.length;
  }
  return rows;
}
