/** The chain of a shard as an archive alone can tell it. Pure. */
import { MAX_OFFSET } from '../batch/check.ts';
import { type HeadRow, NEW_HEAD, type SegmentRow, segmentId } from '../shard/chain.ts';
import type { ArchivedSegment, ArchivedShard } from './manifest.ts';

export interface RestoredChain {
  readonly head: HeadRow;
  /** They tile `head.logStart` to `head.reserved`: what is not in the archive is lost. */
  readonly rows: readonly SegmentRow[];
}

export interface RestoredChainOptions {
  readonly topicId: string;
  readonly shard: number;
  readonly instance: string;
  readonly incarnation: string;
  /** Time from the manifest until now, ms: in it more may have been appended. */
  readonly elapsedMs: number;
  isThere(segment: ArchivedSegment): boolean;
}

/** No shard takes more in a millisecond. */
const OFFSETS_PER_MS = 1000;
const STEP: number = 1 << 20;
/** Owners and segments that may have come after the manifest. */
const EPOCH_GAP = 10_000;
const SEQ_GAP: number = 1 << 20;

/**
 * New offsets, epochs and segments are numbered above all that the cluster may have given out before it was gone, so that no client takes one for another. In
 * between is a hole.
 */
export function restoredChain(found: ArchivedShard | undefined, options: RestoredChainOptions): RestoredChain {
  const { shard, epoch, reserved, nextSeq, logStart, segments } = found ?? { ...NEW_HEAD, ...options, segments: [] };
  const grown = reserved + Math.max(STEP, OFFSETS_PER_MS * Math.max(0, options.elapsedMs));
  const next = Math.min(Math.ceil(grown / STEP) * STEP, MAX_OFFSET);
  let seq = nextSeq;
  const hole = (base: number, end: number, from: number): SegmentRow => {
    const id = segmentId(options.topicId, shard, seq);
    const times = { minTs: -1, maxTs: -1, appendMaxTs: segments.at(-1)?.appendMaxTs ?? 0 };
    const { instance, incarnation } = options;
    return { seq: seq++, id, instance, incarnation, state: 'LOST', base, end, epoch: from, bytes: 0, crc: 0, ...times };
  };
  const rows: SegmentRow[] = [];
  for (const segment of segments) {
    if (!options.isThere(segment)) continue;
    const before = rows.at(-1);
    if (before !== undefined && before.end < segment.base) rows.push(hole(before.end, segment.base, before.epoch));
    rows.push(sealed(segment, options));
  }
  const last = rows.at(-1);
  if (last !== undefined) rows.push(hole(last.end, next, last.epoch));
  const head: HeadRow = {
    epoch: segments.reduce((highest, segment) => Math.max(highest, segment.epoch), epoch) + EPOCH_GAP,
    owner: 0,
    logStart: Math.max(logStart, rows[0]?.base ?? next),
    reserved: next,
    nextSeq: seq + SEQ_GAP,
  };
  return { head, rows };
}

function sealed(
  { place: _, ...segment }: ArchivedSegment,
  { instance, incarnation }: RestoredChainOptions,
): SegmentRow {
  return { ...segment, instance, incarnation, state: 'SEALED', archived: true };
}
