/**
 * From what Meta and the engines hold after a crash, a failed writer or a takeover back to a chain in which every segment is sealed: fence, find
 * the end, seal, in the order of the chain. Nothing here writes to Meta; the caller commits what comes out.
 */
import { forEachBatch } from '../batch/check.ts';
import { type BatchHeader, nextOffset } from '../batch/header.ts';
import type { SegmentReader } from '../engine.ts';
import { isStorageError, StorageError } from '../errors.ts';
import { ShardState } from '../fold/shard-state.ts';
import type { EngineInstance } from '../storage-options.ts';
import { type HeadRow, isUnsealed, type SegmentRow, SegmentStats } from './chain.ts';
import { instanceOf, type ShardEnvironment } from './environment.ts';

/** States up to this many bytes (encoded) are kept in the chain row as well, so that going on needs no read. */
export const END_STATE_BYTES = 2048;
const FOLD_READ_BYTES: number = 1024 * 1024;

export interface Recovered {
  /** In order of base, without those that never held anything. */
  readonly rows: readonly SegmentRow[];
  readonly changed: readonly SegmentRow[];
  readonly dropped: readonly SegmentRow[];
  readonly lostOffsets: number;
}

/**
 * Seals every unsealed row under `epoch`. Rows of an instance whose medium is gone become LOST where that is the instance's nature (durability
 * `none`) or the operator has accepted it; else SEGMENT_LOST is thrown.
 */
export async function recoverChain(
  environment: ShardEnvironment,
  rows: readonly SegmentRow[],
  head: HeadRow,
  options: { readonly epoch: number; readonly acceptLoss: boolean },
): Promise<Recovered> {
  const settled: { readonly was: SegmentRow; readonly now: SegmentRow }[] = [];
  const dropped: SegmentRow[] = [];
  for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
    const now = await settle(environment, row, options);
    if (now === undefined) dropped.push(row);
    else settled.push({ was: row, now });
  }
  const kept: SegmentRow[] = [];
  const changed: SegmentRow[] = [];
  let lostOffsets = 0;
  let tiled = head.logStart;
  for (const [index, { was, now }] of settled.entries()) {
    const row = now.state === 'LOST' && now.end < 0 ? withBounds(now, tiled, settled[index + 1]?.now, head) : now;
    if (row.state === 'LOST' && row.base === row.end) {
      dropped.push(row);
      continue;
    }
    if (row.state === 'LOST' && was.state !== 'LOST') lostOffsets += row.end - row.base;
    if (row.state !== 'DELETING') tiled = Math.max(tiled, row.end);
    kept.push(row);
    if (row !== was) changed.push(row);
  }
  kept.sort((a, b) => a.base - b.base);
  return { rows: kept, changed, dropped, lostOffsets };
}

/** An open segment that was lost may have held anything up to where the next one begins, or up to the bound that was reserved for it. */
function withBounds(row: SegmentRow, tiled: number, next: SegmentRow | undefined, head: HeadRow): SegmentRow {
  const base = row.base >= 0 ? row.base : tiled;
  return { ...row, base, end: Math.max(base, next !== undefined && next.base >= 0 ? next.base : head.reserved) };
}

/** Lost segments right at the log's start: the log begins behind them. */
export function lostAtFront(rows: readonly SegmentRow[], logStart: number): SegmentRow[] {
  const lost: SegmentRow[] = [];
  let start = logStart;
  // kept for the fold alone: that it does not reach up to here is what the lost row behind it tells
  if (rows.some((row) => row.state === 'SEALED' && row.end <= logStart)) return lost;
  for (const row of rows) {
    if (row.state === 'DELETING' || row.end <= start) continue;
    if (row.state !== 'LOST' || row.base > start) break;
    start = row.end;
    lost.push(row);
  }
  return lost;
}

/** A row whose segment is sealed or lost; undefined when there never was anything in it. */
async function settle(
  environment: ShardEnvironment,
  row: SegmentRow,
  options: { readonly epoch: number; readonly acceptLoss: boolean },
): Promise<SegmentRow | undefined> {
  if (row.state === 'LOST' || row.state === 'DELETING') return row;
  const instance = instanceOf(environment, row.instance);
  const mediumGone = instance.engine.incarnation !== row.incarnation;
  const mayLose = instance.capabilities.durability === 'none' || options.acceptLoss;
  if (!isUnsealed(row)) {
    if (!mediumGone || !mayLose) return row; // reading it will tell
    return { ...row, state: 'LOST' };
  }
  if (!mediumGone) {
    try {
      return await seal(environment, instance, row, options.epoch);
    } catch (error) {
      if (row.state === 'PREPARED' && neverCreated(error, instance)) return undefined;
      const isGone = isStorageError(error, 'SEGMENT_UNKNOWN', 'SEGMENT_LOST');
      const isGivenUp = options.acceptLoss && isStorageError(error, 'CORRUPT');
      if (!isGivenUp && !(isGone && mayLose)) throw asLost(error, row);
    }
  } else if (!mayLose) {
    throw new StorageError(
      'SEGMENT_LOST',
      `the medium of instance ${row.instance} is not the one that held the segment`,
      {
        where: row.id,
        hint: 'Put the old disk back, or give up what was on it',
      },
    );
  }
  return { ...row, state: 'LOST', end: -1 };
}

/** On a medium that is still the same one, an engine that keeps nothing past its process has lost nothing, whatever it says. */
function neverCreated(error: unknown, instance: EngineInstance): boolean {
  if (isStorageError(error, 'SEGMENT_UNKNOWN')) return true;
  return instance.capabilities.durability === 'none' && isStorageError(error, 'SEGMENT_LOST');
}

async function seal(
  environment: ShardEnvironment,
  instance: EngineInstance,
  row: SegmentRow,
  epoch: number,
): Promise<SegmentRow | undefined> {
  const { end } = await instance.engine.recover(row.id, { epoch });
  const reader = await instance.engine.openReader(row.id);
  try {
    const { base } = reader.offsets();
    if (base === end) return undefined;
    const now = environment.clock.wall();
    const { state, stats } = await foldSegment(reader, row.id, { from: base, end }, now);
    return sealedRow({ ...row, base }, end, stats, state, now);
  } finally {
    await reader.close();
  }
}

/** The chain row of a segment that is sealed at `end`. */
export function sealedRow(
  row: SegmentRow,
  end: number,
  stats: SegmentStats,
  state: ShardState,
  now: number,
): SegmentRow {
  const endState = state.encode(now);
  return {
    ...row,
    ...stats.fields(),
    state: 'SEALED',
    end,
    ...(endState.length <= END_STATE_BYTES ? { endState: Buffer.from(endState).toString('base64') } : {}),
  };
}

/** The fold at the end of a segment, and what the chain keeps about it. */
export async function foldSegment(
  reader: SegmentReader,
  where: string,
  range: { readonly from: number; readonly end: number },
  now: number,
): Promise<{ state: ShardState; stats: SegmentStats }> {
  const state = ShardState.decode(await reader.state(), where);
  const stats = new SegmentStats();
  for await (const { header, bytes, at } of batchesOf(reader, range)) {
    // by this node's time: the records' own timestamps are the clients', and may be years old
    state.apply(header, now);
    stats.add(header, bytes, at, now);
  }
  return { state, stats };
}

/** Every batch of a range of a segment, in order. */
export async function* batchesOf(
  reader: SegmentReader,
  range: { readonly from: number; readonly end: number },
): AsyncGenerator<{ header: BatchHeader; bytes: Uint8Array; at: number }> {
  for (let from = range.from; from < range.end; ) {
    const { bytes, next } = await reader.read(from, { maxBytes: FOLD_READ_BYTES });
    const found: { header: BatchHeader; at: number }[] = [];
    forEachBatch(bytes, (header, at) => void found.push({ header, at }));
    for (const { header, at } of found) if (nextOffset(header) > from) yield { header, bytes, at };
    if (next <= from) return;
    from = next;
  }
}

/** The fold at the end of the chain: from the newest row alone. */
export async function stateAtEnd(environment: ShardEnvironment, rows: readonly SegmentRow[]): Promise<ShardState> {
  const newest = rows.filter((row) => row.state === 'SEALED').at(-1);
  if (newest === undefined || newest !== rows.at(-1)) return new ShardState();
  if (newest.endState !== undefined) return ShardState.decode(Buffer.from(newest.endState, 'base64'), newest.id);
  const reader = await instanceOf(environment, newest.instance).engine.openReader(newest.id);
  try {
    const range = { from: newest.base, end: newest.end };
    return (await foldSegment(reader, newest.id, range, environment.clock.wall())).state;
  } finally {
    await reader.close();
  }
}

function asLost(error: unknown, row: SegmentRow): unknown {
  if (!isStorageError(error, 'SEGMENT_UNKNOWN')) return error;
  return new StorageError('SEGMENT_LOST', 'Meta knows the segment, its engine does not', {
    where: row.id,
    cause: error,
  });
}
