import type { Metrics } from '../world.ts';
import type { ShardCounters } from './environment.ts';

export function storageCounters(metrics: Metrics): ShardCounters {
  const counter = (name: string, help: string) => metrics.counter(name, help);
  return {
    appendedBytes: counter('robust_append_bytes_total', 'Bytes of batches appended and committed'),
    appendedBatches: counter('robust_append_batches_total', 'Batches appended and committed'),
    duplicateBatches: counter(
      'robust_append_duplicates_total',
      'Batches of idempotent producers that were there already',
    ),
    readBytes: counter('robust_read_bytes_total', 'Bytes of batches read by brokers'),
    heldReads: counter(
      'robust_cold_reads_held_seconds_total',
      'Time that reads of archived segments waited for appends and for reads of what is near, of all that waited together',
    ),
    rolls: counter('robust_segment_rolls_total', 'Segments sealed'),
    recoveries: counter(
      'robust_segment_recoveries_total',
      'Recoveries of unsealed segments, after a restart or a failed writer',
    ),
    redispatched: counter(
      'robust_append_redispatched_total',
      'Appends dispatched again after a refusal or a failed writer',
    ),
    lostOffsets: counter(
      'robust_lost_offsets_total',
      'Offsets whose data did not outlive its medium, or had to make room',
    ),
    rewrittenBytes: counter('robust_rewritten_bytes_total', 'Bytes written again to merge, move or compact segments'),
    movedSegments: counter('robust_moved_segments_total', 'Segments archived, restored, or moved after their topic'),
    movedBytes: counter('robust_moved_bytes_total', 'Bytes of segments archived, restored, or moved after their topic'),
    failedMoves: counter('robust_move_failures_total', 'Moves of segments that failed; they are tried again'),
    deletedSegments: counter('robust_segments_deleted_total', 'Segments deleted'),
  };
}
