/** The front of a shard: where its log begins, and what may go behind that. */
import { StorageError } from '../errors.ts';
import { ShardState } from '../fold/shard-state.ts';
import type { SegmentRow } from './chain.ts';
import { makeHole } from './hole.ts';
import type { ShardLog } from './log.ts';

/** Rows changed by one commit. */
const MAX_ROWS = 100;

/** Moves the log's start up to `before`, never back; whole segments below it go after the grace period. */
export async function trimTo(log: ShardLog, before: number): Promise<number> {
  if (!Number.isSafeInteger(before) || before < 0)
    throw new StorageError('INVALID_ARGUMENT', `${before} is no offset`, { where: log.where });
  if (before > log.committed)
    throw new StorageError('OFFSET_BEYOND_END', `can not trim to ${before}, the log ends at ${log.committed}`, {
      where: log.where,
      offsets: { start: log.logStart, end: log.committed },
    });
  if (before <= log.logStart) return log.logStart;
  await log.own();
  const gone = log.rows.filter((row) => row.end <= before);
  for (let at = 0; at < gone.length || at === 0; at += MAX_ROWS) {
    const piece = gone.slice(at, at + MAX_ROWS);
    const start = at + MAX_ROWS >= gone.length ? before : (piece.at(-1)?.end ?? before);
    await dropRows(log, piece, Math.max(log.logStart, start), log.environment.tuning.deleteGraceMs);
  }
  return log.logStart;
}

/** Rows at the front of the chain that its topic's retention no longer covers. */
export function expiredRows(log: ShardLog, wall: number): SegmentRow[] {
  const { cleanup, retention } = log.topic.settings;
  if (cleanup === 'compact') return leadingBelow(log, log.logStart);
  const open = log.open?.stats.bytes ?? 0;
  let bytes = log.rows.reduce((sum, row) => sum + row.bytes, open);
  const expired: SegmentRow[] = [];
  for (const row of log.rows) {
    const old = retention.ms >= 0 && row.appendMaxTs + retention.ms < wall;
    // what is left must still be at least as much as may be kept
    const over = retention.bytes >= 0 && bytes - row.bytes >= retention.bytes;
    if (!old && !over && row.end > log.logStart) break;
    expired.push(row);
    bytes -= row.bytes;
  }
  return expired;
}

export async function applyRetention(log: ShardLog): Promise<void> {
  const { environment } = log;
  const { retention, cleanup } = log.topic.settings;
  const wall = environment.clock.wall();
  const { open } = log;
  // an open segment whose newest record is too old is sealed, so that it can go
  if (
    open !== undefined &&
    open.stats.batches > 0 &&
    cleanup !== 'compact' &&
    retention.ms >= 0 &&
    open.stats.appendMaxTs + retention.ms < wall
  )
    await log.rollNow();
  const expired = expiredRows(log, wall).slice(0, MAX_ROWS);
  const last = expired.at(-1);
  if (last === undefined) return;
  if (last.end <= log.logStart && expired.length === 1 && last === neededForFold(log)) return;
  await log.own();
  await dropRows(log, expired, Math.max(log.logStart, last.end), environment.tuning.deleteGraceMs);
}

/**
 * The newest segment, as long as nothing else tells what producers have sent: without it the batch that is sent again after a restart would
 * be stored twice. The log may begin behind it; it goes once the next segment holds something, or the producers are forgotten.
 */
function neededForFold(log: ShardLog): SegmentRow | undefined {
  const newest = log.rows.at(-1);
  if (newest?.state !== 'SEALED' || (log.open?.stats.batches ?? 0) > 0) return undefined;
  if (newest.endState === undefined) return newest;
  const { producers } = ShardState.decode(Buffer.from(newest.endState, 'base64'), newest.id);
  producers.expire(log.environment.clock.wall());
  return producers.size === 0 ? undefined : newest;
}

/**
 * Drops the oldest sealed segment on an instance that runs out of room, at once. Where older segments lie on another engine only this one
 * goes, and leaves a hole. @returns whether there was one
 */
export async function dropOldest(log: ShardLog, instance: string): Promise<boolean> {
  if (await dropKept(log, instance)) return true;
  const index = log.rows.findIndex((row) => row.instance === instance && row.state === 'SEALED');
  const row = log.rows[index];
  if (row === undefined) return false;
  await log.own();
  if (index === 0) {
    // room comes first: what producers have sent is known as long as this process lives, which is all that such an engine promises
    await dropRows(log, [row], Math.max(log.logStart, row.end), 0, () => undefined);
    await sweepDeleting(log);
    return true;
  }
  if (!(await makeHole(log, row))) return true;
  await log.environment.engines.get(instance)?.engine.delete(row.id);
  return true;
}

/** Drops a copy of an archived segment before its time: nothing is lost with it. @returns whether there was one */
async function dropKept(log: ShardLog, instance: string): Promise<boolean> {
  const copy = log.deleting.find((row) => row.kept === true && row.instance === instance);
  if (copy === undefined) return false;
  log.deleting = log.deleting.map((row) => (row === copy ? { ...row, deleteAfter: 0 } : row));
  await sweepDeleting(log);
  return true;
}

/** Deletes what has been DELETING for long enough, in the engine first, then in Meta. */
export async function sweepDeleting(log: ShardLog): Promise<void> {
  const { environment } = log;
  const wall = environment.clock.wall();
  // a copy is of no use any longer than what it is a copy of
  const isDue = (row: SegmentRow) => (row.deleteAfter ?? 0) <= wall || (row.kept === true && row.end <= log.logStart);
  const due = log.deleting.filter((row) => isDue(row) && environment.mayDelete(row)).slice(0, MAX_ROWS);
  const done: SegmentRow[] = [];
  for (const row of due) {
    environment.readers.drop(row.id);
    const instance = environment.engines.get(row.instance);
    if (instance === undefined) continue; // it is not configured now; the row stays until it is
    try {
      if (instance.engine.incarnation === row.incarnation) await instance.engine.delete(row.id);
      done.push(row);
    } catch (error) {
      environment.logger.warn({ segment: row.id, err: error }, 'a segment could not be deleted yet');
    }
  }
  if (done.length === 0) return;
  await log.own();
  await log.change(() => ({
    change: { deletes: done.map((row) => row.seq) },
    apply: () => {
      log.deleting = log.deleting.filter((row) => !done.includes(row));
      environment.counters.deletedSegments.value += done.length;
    },
  }));
}

function leadingBelow(log: ShardLog, logStart: number): SegmentRow[] {
  const firstKept = log.rows.findIndex((row) => row.end > logStart);
  return firstKept < 0 ? [...log.rows] : log.rows.slice(0, firstKept);
}

/** Moves the log's start up, and the rows that lie below it, but for the one `kept`, out of the chain. */
async function dropRows(
  log: ShardLog,
  candidates: readonly SegmentRow[],
  logStart: number,
  graceMs: number,
  kept: (log: ShardLog) => SegmentRow | undefined = neededForFold,
): Promise<void> {
  const deleteAfter = Math.floor(log.environment.clock.wall() + graceMs);
  await log.change(() => {
    // a merge may have put another row in a candidate's place meanwhile: that one goes next time
    const needed = kept(log);
    const rows = candidates.filter((row) => row !== needed && log.rows.includes(row));
    const start = Math.max(log.logStart, logStart);
    if (rows.length === 0 && start === log.logStart) return undefined;
    // there is nothing behind a lost segment's row
    const lost = rows.filter((row) => row.state === 'LOST');
    const deleting = rows
      .filter((row) => row.state !== 'LOST')
      .map((row) => ({ ...row, state: 'DELETING' as const, deleteAfter }));
    return {
      change: { head: { logStart: start }, puts: deleting, deletes: lost.map((row) => row.seq) },
      apply: () => {
        log.logStart = start;
        log.rows = log.rows.filter((row) => !rows.includes(row));
        log.deleting.push(...deleting);
      },
    };
  });
}
