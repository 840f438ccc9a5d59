import type { SegmentRow } from './chain.ts';
import type { ShardLog } from './log.ts';

/**
 * Makes a sealed segment a hole in the log: its row becomes LOST, its offsets are never used again. What its engine holds is the caller's to delete.
 * @returns false when something else has taken the row's place meanwhile
 */
export async function makeHole(log: ShardLog, row: SegmentRow): Promise<boolean> {
  const lost: SegmentRow = { ...row, state: 'LOST' };
  const changed = await log.change(() => {
    if (!log.rows.includes(row)) return undefined;
    return {
      change: { puts: [lost] },
      apply: () => {
        log.rows = log.rows.map((candidate) => (candidate === row ? lost : candidate));
        log.environment.counters.lostOffsets.value += row.end - row.base;
      },
    };
  });
  if (changed) log.environment.readers.drop(row.id);
  return changed;
}
