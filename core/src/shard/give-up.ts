/** What an operator gives up by name: sealed segments that can no longer be read become holes. */
import { isStorageError } from '../errors.ts';
import type { SegmentRow } from './chain.ts';
import { makeHole } from './hole.ts';
import type { ShardLog } from './log.ts';
import { readRows } from './rewrite.ts';

/** Reads every sealed segment and turns those that are damaged or gone into LOST ones. */
export async function giveUpUnreadable(log: ShardLog): Promise<void> {
  for (const row of log.rows.filter((candidate) => candidate.state === 'SEALED')) {
    if (await isReadable(log, row)) continue;
    if (await makeHole(log, row)) await log.recorder.deleteUnused(row);
  }
  log.forgetDamage();
}

async function isReadable(log: ShardLog, row: SegmentRow): Promise<boolean> {
  try {
    for await (const _chunk of readRows(log, [row], {})); // each read checks what it gives
    return true;
  } catch (error) {
    if (isStorageError(error, 'CORRUPT', 'SEGMENT_LOST', 'SEGMENT_UNKNOWN', 'SEGMENT_NOT_SEALED')) return false;
    throw error;
  }
}
