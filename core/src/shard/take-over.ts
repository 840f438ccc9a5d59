/** How a node becomes the owner of a shard: a new epoch in Meta, and everything sealed that an earlier owner left open. */
import type { ShardState } from '../fold/shard-state.ts';
import type { EngineInstance } from '../storage-options.ts';
import { isUnsealed, type SegmentRow, tiles } from './chain.ts';
import type { ChainRecorder } from './chain-recorder.ts';
import type { ChainStore } from './chain-store.ts';
import type { ShardEnvironment } from './environment.ts';
import { lostAtFront, recoverChain, stateAtEnd } from './recovery.ts';

export interface TakenOver {
  /** Sealed, lost and deleting ones: nothing is unsealed now. */
  readonly rows: readonly SegmentRow[];
  readonly logStart: number;
  /** The fold at the end of the chain. */
  readonly state: ShardState;
}

interface Parts {
  readonly environment: ShardEnvironment;
  readonly store: ChainStore;
  readonly recorder: ChainRecorder;
  readonly where: string;
}

interface TakeOverOptions {
  readonly epoch: number;
  readonly logStart: number;
  readonly acceptLoss: boolean;
  /** Where the first append will go, if one waits: the row of its segment goes with the same commit. */
  readonly next: EngineInstance | undefined;
}

/** True when what the rows stand for has to be looked after before the shard can be read. */
export function needsRecovery(environment: ShardEnvironment, rows: readonly SegmentRow[]): boolean {
  return rows.some((row) => isUnsealed(row) || isGone(environment, row));
}

/** @throws what keeps the shard from being recovered; it can be tried again from the same rows */
export async function takeOver(
  parts: Parts,
  rows: readonly SegmentRow[],
  options: TakeOverOptions,
): Promise<TakenOver> {
  const { environment, store, recorder } = parts;
  const head = { epoch: options.epoch, owner: environment.nodeId };
  if (!needsRecovery(environment, rows)) {
    const live = tiles(rows);
    const row = options.next === undefined ? undefined : recorder.newRow(options.next, options.epoch);
    await recorder.takeOver(head, endOf(live, options.logStart), row);
    return { rows, logStart: options.logStart, state: await stateAtEnd(environment, live) };
  }
  const recovering = rows.map((row) => (row.state === 'OPEN' ? { ...row, state: 'RECOVERING' as const } : row));
  await store.commit({ head, puts: recovering.filter((row) => row.state === 'RECOVERING') });
  return recover(parts, recovering, options);
}

async function recover(parts: Parts, rows: readonly SegmentRow[], options: TakeOverOptions): Promise<TakenOver> {
  const { environment, store, recorder } = parts;
  environment.counters.recoveries.value++;
  const recovered = await recoverChain(environment, rows, store.head, options);
  const lost = lostAtFront(recovered.rows, options.logStart);
  const logStart = lost.at(-1)?.end ?? options.logStart;
  const kept = recovered.rows.filter((row) => !lost.includes(row));
  const live = tiles(kept);
  if (recovered.lostOffsets > 0) {
    environment.counters.lostOffsets.value += recovered.lostOffsets;
    environment.logger.warn({ shard: parts.where, logStart }, 'data that did not outlive its medium is gone');
  }
  const puts = recovered.changed.filter((row) => kept.includes(row));
  const deletes = [...recovered.dropped, ...lost];
  await recorder.recovered({ head: { logStart }, puts, deletes }, endOf(live, logStart));
  for (const row of recovered.dropped) await recorder.deleteUnused(row);
  return { rows: kept, logStart, state: await stateAtEnd(environment, live) };
}

/** On an instance that keeps nothing past its process, after that process. */
function isGone(environment: ShardEnvironment, row: SegmentRow): boolean {
  if (row.state === 'LOST' || row.state === 'DELETING') return false;
  const instance = environment.engines.get(row.instance);
  return instance?.capabilities.durability === 'none' && instance.engine.incarnation !== row.incarnation;
}

function endOf(rows: readonly SegmentRow[], logStart: number): number {
  return rows.reduce((end, row) => Math.max(end, row.end), logStart);
}
