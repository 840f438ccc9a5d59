/** When a compacted topic is compacted, and in which order its segments are written again. The rewriting itself is in `../compaction`. */
import { compact } from '../compaction/compact.ts';
import { mapKeys } from '../compaction/map-keys.ts';
import { Pace } from '../compaction/pace.ts';
import { isWeaker } from '../topics/validate.ts';
import type { SegmentRow } from './chain.ts';
import { runs } from './grouping.ts';
import type { ShardLog } from './log.ts';
import { type RewriteOptions, readRows, rewrite } from './rewrite.ts';

/** Not worth its while until this share of the bytes was never compacted (Kafka's min.cleanable.dirty.ratio). */
const MIN_DIRTY = 0.5;
/** Keys of one pass: 24 bytes of memory each, and half as much again while the map grows. */
const MAX_KEYS = 1_000_000;

export function isCompactionDue(log: ShardLog): boolean {
  if (!log.topic.settings.cleanup.startsWith('compact')) return false;
  const rows = compactable(log).filter(isSealed);
  const total = rows.reduce((sum, row) => sum + row.bytes, 0);
  const dirty = rows.reduce((sum, row) => sum + (row.compacted ? 0 : row.bytes), 0);
  return dirty > 0 && dirty >= total * MIN_DIRTY;
}

/** One pass: maps the newest offsets of keys from where the last one ended, then writes again what lies below that, oldest first. */
export async function compactPass(log: ShardLog, options: Pick<RewriteOptions, 'to' | 'unreadable'>): Promise<void> {
  const { environment } = log;
  const rows = compactable(log);
  const sealed = rows.filter(isSealed);
  const from = sealed.find((row) => !row.compacted)?.base;
  if (from === undefined) return;
  const pace = new Pace(environment.clock);
  const keys = await mapKeys(readRows(log, sealed, { ...options, from }), { from, maxKeys: MAX_KEYS, pace });
  // the last segment's offsets may end in a hole, which no batch tells
  if (keys.size < MAX_KEYS) keys.to = sealed.at(-1)?.end ?? keys.to;
  const { deleteRetentionMs, segment } = log.topic.settings;
  const nowMs = environment.clock.wall();
  const covered = (row: SegmentRow) => isSealed(row) && row.base < keys.to;
  // where the topic's engine promises less, a segment is compacted where it lies
  const homeOf = (row: SegmentRow) => {
    const own = environment.engines.get(row.instance);
    return own !== undefined && isWeaker(options.to, own) ? own : options.to;
  };
  for (const group of runs(rows, covered, segment.bytes).flatMap((run) => splitWhere(run, homeOf))) {
    if (environment.signal.aborted) return;
    const first = group[0];
    await rewrite(log, group, {
      ...options,
      to: first === undefined ? options.to : homeOf(first),
      transform: (chunks) => compact(chunks, { keys, nowMs, deleteRetentionMs, pace }).batches,
      compacted: (group.at(-1)?.end ?? 0) <= keys.to,
    });
  }
}

/** A run in pieces, each of neighbours that go to the same place. */
function splitWhere<Place>(rows: readonly SegmentRow[], placeOf: (row: SegmentRow) => Place): SegmentRow[][] {
  const pieces: SegmentRow[][] = [];
  let place: Place | undefined;
  for (const row of rows) {
    const piece = pieces.at(-1);
    if (piece === undefined || placeOf(row) !== place) pieces.push([row]);
    else piece.push(row);
    place = placeOf(row);
  }
  return pieces;
}

/**
 * From the log's start up to the newest segment, which is left out: what follows that one is folded from its batches. With what is LOST, which
 * holds nothing and parts the groups: a tombstone may only go when all that lies before it has been written again, on either side.
 * None while a segment waits to be recovered.
 */
function compactable(log: ShardLog): readonly SegmentRow[] {
  const rows = log.open === undefined ? log.rows.slice(0, -1) : log.rows;
  return rows.every((row) => isSealed(row) || row.state === 'LOST') ? rows : [];
}

function isSealed(row: SegmentRow): boolean {
  return row.state === 'SEALED';
}
