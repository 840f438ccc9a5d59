/** Which sealed segments are worth writing again, and which of them together. Pure. */
import type { SegmentRow } from './chain.ts';

/** A segment is small below this share of the topic's segment size. */
const SMALL = 1 / 4;
/** Fewer small neighbours than this are left alone: every merge writes all of them again. */
const MIN_MERGE = 4;
const MAX_GROUP = 64;

/** The first run of small neighbours on `instance` that fits into one segment; one that isn't `fit` is passed over. */
export function mergeGroup(
  rows: readonly SegmentRow[],
  instance: string,
  segmentBytes: number,
  fit: (row: SegmentRow) => boolean,
): SegmentRow[] {
  const isSmall = (row: SegmentRow) =>
    row.state === 'SEALED' && row.instance === instance && row.bytes < segmentBytes * SMALL && fit(row);
  for (const group of runs(rows, isSmall, segmentBytes)) if (group.length >= MIN_MERGE) return group;
  return [];
}

/** Sealed rows in runs of neighbours, each as large as one segment may be; one that is larger stands alone. */
export function runs(
  rows: readonly SegmentRow[],
  wanted: (row: SegmentRow) => boolean,
  maxBytes: number,
): SegmentRow[][] {
  const groups: SegmentRow[][] = [];
  let group: SegmentRow[] = [];
  let bytes = 0;
  const close = () => {
    if (group.length > 0) groups.push(group);
    group = [];
    bytes = 0;
  };
  for (const row of rows) {
    if (!wanted(row)) {
      close();
      continue;
    }
    if (group.length >= MAX_GROUP || bytes + row.bytes > maxBytes) close();
    group.push(row);
    bytes += row.bytes;
  }
  close();
  return groups;
}
