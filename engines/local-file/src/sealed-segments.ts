import type { FileSystem, SegmentId } from '@robustmq/core';
import type { FileCache } from './file-cache.ts';
import type { Descriptor } from './segment/descriptor.ts';
import { OpenSegment } from './segment/open-segment.ts';
import type { SegmentPaths } from './segment/segment-files.ts';
import { SegmentLog } from './segment/segment-log.ts';
import { SparseIndex } from './segment/sparse-index.ts';
import { bodyOf } from './segment/stored.ts';

/** The log of a sealed segment; nothing is read until somebody asks. */
export function sealedLog(
  paths: SegmentPaths,
  cache: FileCache,
  id: SegmentId,
  footer: Descriptor,
  interval: number,
): SegmentLog {
  const { base, end, bytes, indexCount: count, lastIndexed: lastPosition, maxTimestamp } = footer;
  const index = new SparseIndex(interval, { count, lastPosition, maxTimestamp });
  return new SegmentLog(id, paths, cache, { base, end, bytes, index });
}

/** A sealed segment that has something to be written again: its footer. */
export async function openStored(
  fs: FileSystem,
  paths: SegmentPaths,
  cache: FileCache,
  id: SegmentId,
  footer: Descriptor,
  interval: number,
): Promise<OpenSegment> {
  const { uid, state } = await bodyOf(fs, paths, id);
  const segment = new OpenSegment({ ...footer, id, log: sealedLog(paths, cache, id, footer, interval) });
  segment.sealed = true;
  segment.hasFooter = true;
  segment.fencedEpoch = footer.fencedEpoch;
  segment.ingested = footer.ingested;
  segment.digest = footer.digest;
  segment.uid = uid;
  segment.state = state;
  return segment;
}
