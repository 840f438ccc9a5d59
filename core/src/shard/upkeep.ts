/** What a shard needs from time to time, while nobody waits for it. Each step is cheap when there is nothing to do. */
import type { SegmentRow } from './chain.ts';
import { compactPass, isCompactionDue } from './compaction.ts';
import { mergeGroup } from './grouping.ts';
import type { ShardLog } from './log.ts';
import { Resting } from './resting.ts';
import { applyRetention, sweepDeleting } from './retention.ts';
import { type RewriteOptions, rewrite, sweepCopies } from './rewrite.ts';

export async function upkeep(log: ShardLog): Promise<void> {
  if (log.phase === 'new' || log.phase === 'stopped' || log.unavailable !== undefined) return;
  if (log.open !== undefined && log.isOld(log.open)) await log.rollNow();
  await applyRetention(log);
  if (log.deleting.length > 0) await sweepDeleting(log);
  if (log.rewriting) return;
  if (!log.copiesSwept) {
    await sweepCopies(log);
    log.copiesSwept = true;
  }
  log.rewriting = true;
  try {
    await rewriteSome(log);
  } finally {
    log.rewriting = false;
  }
}

/** Which segments can't be read, or that nothing of the shard can be written to its engine. Gone with the shard. */
const restingOf = new WeakMap<ShardLog, Resting>();
const ALL = 'all';

/** At most one rewrite a round and shard: the others get their turn, too. */
async function rewriteSome(log: ShardLog): Promise<void> {
  const target = log.environment.engines.get(log.topic.settings.engine);
  if (target === undefined || log.rows.length === 0) return;
  const resting = restingOf.get(log) ?? new Resting();
  restingOf.set(log, resting);
  const now = log.environment.clock.monotonic();
  if (resting.has(ALL, now)) return;
  const isFit = (row: SegmentRow) => !resting.has(row.id, now);
  let culprit = ALL;
  const unreadable = (row: SegmentRow) => {
    culprit = row.id;
  };
  try {
    await rewriteNext(log, isFit, { to: target, unreadable });
    resting.keepOnly(new Set(log.rows.map((row) => row.id)));
  } catch (error) {
    resting.add(culprit, log.environment.clock.monotonic(), error);
    throw error;
  }
}

async function rewriteNext(
  log: ShardLog,
  isFit: (row: SegmentRow) => boolean,
  options: Pick<RewriteOptions, 'to' | 'unreadable'>,
): Promise<void> {
  const { settings } = log.topic;
  if (isCompactionDue(log) && log.rows.every(isFit)) {
    await compactPass(log, options);
  } else {
    const small = mergeGroup(log.rows, settings.engine, settings.segment.bytes, isFit);
    if (small.length > 0) await rewrite(log, small, options);
  }
}
