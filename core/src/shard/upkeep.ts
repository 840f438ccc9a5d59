/** What a shard needs from time to time, while nobody waits for it. Each step is cheap when there is nothing to do. */
import type { EngineInstance } from '../storage-options.ts';
import { isWeaker } from '../topics/validate.ts';
import { compactPass, isCompactionDue } from './compaction.ts';
import { mergeGroup, moveGroup } from './grouping.ts';
import type { ShardLog } from './log.ts';
import { applyRetention, sweepDeleting } from './retention.ts';
import { rewrite, sweepCopies } from './rewrite.ts';

export async function upkeep(log: ShardLog): Promise<void> {
  if (log.phase === 'new' || log.phase === 'stopped' || log.unavailable !== undefined) return;
  if (log.open !== undefined && log.isOld(log.open)) await log.rollNow();
  await applyRetention(log);
  if (log.deleting.length > 0) await sweepDeleting(log);
  if (!log.copiesSwept) {
    await sweepCopies(log);
    log.copiesSwept = true;
  }
  await rewriteSome(log);
}

/** At most one rewrite a round and shard: the others get their turn, too. */
async function rewriteSome(log: ShardLog): Promise<void> {
  const { settings } = log.topic;
  const target = log.environment.engines.get(settings.engine);
  if (target === undefined || log.rows.length === 0) return;
  const foreign = moveGroup(log.rows, settings.engine, settings.segment.bytes);
  if (foreign.length > 0 && foreign.every((row) => mayMove(log.environment.engines.get(row.instance), target))) {
    await rewrite(log, foreign, { to: target });
    return;
  }
  if (isCompactionDue(log)) {
    await compactPass(log, target);
    return;
  }
  const small = mergeGroup(log.rows, settings.engine, settings.segment.bytes);
  if (small.length > 0) await rewrite(log, small, { to: target });
}

/** Sealed data follows the topic to its new engine, unless it would be less safe there: then only new data goes there. */
function mayMove(from: EngineInstance | undefined, to: EngineInstance): boolean {
  return from !== undefined && !isWeaker(to, from);
}
