/**
 * A sealed stretch of the chain, written again as one segment: to merge small neighbours, to move to another engine, to compact. The steps,
 * each of which may be the last before a crash: intent in Meta -> ingest -> verify -> swap of the chain entries in one commit guarded by the
 * shard's epoch -> the old segments go after the grace period. An intent without a chain entry is swept when the shard is next looked after.
 */
import { forEachBatch } from '../batch/check.ts';
import type { SegmentReader } from '../engine.ts';
import { StorageError } from '../errors.ts';
import { type RowCodec, rowCodec } from '../meta/row.ts';
import type { EngineInstance } from '../storage-options.ts';
import { copyPrefix, epochStarts, type SegmentRow, SegmentStats } from './chain.ts';
import type { ShardLog } from './log.ts';
import { useSegment } from './reading.ts';

const READ_BYTES: number = 1024 * 1024;

interface CopyIntent {
  readonly id: string;
  readonly instance: string;
  readonly uid: string;
}

const intentCodec: RowCodec<CopyIntent> = rowCodec('C', 1, (json) => {
  const { id, instance, uid } = json;
  if (typeof id !== 'string' || typeof instance !== 'string' || typeof uid !== 'string')
    throw new Error('a field is missing');
  return { id, instance, uid };
});

/** Chunks of whole batches to other such chunks; offsets stay. */
export type Transform = (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

export interface RewriteOptions {
  readonly to: EngineInstance;
  readonly transform?: Transform;
  /** Marks the result as compacted up to its end. */
  readonly compacted?: boolean;
  /** The segments are only old: they are marked as archived, and those for which this gives a time stay until then as copies for readers. */
  readonly keepUntil?: (row: SegmentRow) => number | undefined;
  /** Told how many bytes have been written so far. */
  readonly progress?: (bytes: number) => void;
  /** Told before a rewrite fails because this one of its segments can't be read. */
  readonly unreadable?: (row: SegmentRow) => void;
}

/** Replaces `rows`, which lie in a row in the chain and are all sealed, by one segment. */
export async function rewrite(log: ShardLog, rows: readonly SegmentRow[], options: RewriteOptions): Promise<void> {
  const first = rows[0];
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return;
  await log.own();
  const { environment } = log;
  const { seq, id, head } = log.recorder.takeSeq();
  const intent: CopyIntent = { id, instance: options.to.name, uid: environment.random.uuid() };
  const intentKey = `${copyPrefix(log.topic.id, log.index)}${String(seq).padStart(10, '0')}`;
  await log.store.commit({ head, otherPuts: [{ key: intentKey, value: intentCodec.encode(intent) }] });
  const stats = new SegmentStats();
  try {
    const state = await readSegment(log, first, (reader) => reader.state(), options.unreadable);
    const chunks = readRows(log, rows, { unreadable: options.unreadable });
    const transformed = options.transform === undefined ? chunks : options.transform(chunks);
    const written = measured(transformed, stats, options.progress);
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    const range = { base: first.base, end: last.end, epoch: last.epoch, state, uid: intent.uid, bytes };
    const result = await options.to.engine.ingest(id, range, written);
    if (result.bytes !== stats.bytes || result.crc !== stats.crc)
      throw new StorageError(
        'CORRUPT',
        `ingested ${stats.bytes} bytes, the engine says ${result.bytes}, or their digests differ`,
        { where: id },
      );
    await readBack(options.to, id, range);
  } catch (error) {
    // nothing refers to it: whatever it left can go, and if that fails the intent is swept later
    await dropCopy(log, intent, intentKey).catch(() => {});
    throw error;
  }
  const deleteAfter = Math.floor(environment.clock.wall() + environment.tuning.deleteGraceMs);
  const replaced = rows.map((row) => {
    const kept = options.keepUntil?.(row);
    const copy = kept === undefined ? {} : { kept: true };
    return { ...row, ...copy, state: 'DELETING' as const, deleteAfter: Math.max(deleteAfter, kept ?? 0) };
  });
  const row = replacement(rows, {
    seq,
    id,
    to: options.to,
    stats,
    compacted: options.compacted ?? false,
    archived: options.keepUntil !== undefined,
  });
  const swapped = await log.change(() => {
    const at = log.rows.indexOf(first);
    // retention or a trim was faster: the copy is of no use
    if (rows.some((candidate, index) => log.rows[at + index] !== candidate)) return undefined;
    return {
      change: { puts: [row, ...replaced], otherDeletes: [intentKey] },
      apply: () => {
        log.rows.splice(at, rows.length, row);
        log.deleting.push(...replaced);
        environment.counters.rewrittenBytes.value += stats.bytes;
      },
    };
  });
  if (!swapped) await dropCopy(log, intent, intentKey);
}

/**
 * Asks the engine for what it has just taken: what it counted on the way in says nothing of what it stored. Bytes are not compared, that would be a second copy on
 * the way back; an engine finds its segment by a footer at its end, and that one is there and right means that the store has all of it.
 */
async function readBack(
  to: EngineInstance,
  id: string,
  { base, end, state }: { readonly base: number; readonly end: number; readonly state: Uint8Array },
): Promise<void> {
  const reader = await to.engine.openReader(id);
  try {
    const found = reader.offsets();
    if (!found.sealed || found.base !== base || found.end !== end || found.committed !== end)
      throw new StorageError(
        'CORRUPT',
        `the copy that was stored has offsets ${found.base} to ${found.committed}, it should have ${base} to ${end}`,
        { where: id },
      );
    if (!Buffer.from(state).equals(await reader.state()))
      throw new StorageError('CORRUPT', 'the copy that was stored has lost its state', { where: id });
  } finally {
    await reader.close();
  }
}

/** Deletes what copies left that were not finished, by this process or one before it. */
export async function sweepCopies(log: ShardLog): Promise<void> {
  const { meta } = log.environment;
  const { entries } = await meta.list({ prefix: copyPrefix(log.topic.id, log.index), limit: 100 });
  for (const entry of entries) await dropCopy(log, intentCodec.decode(entry.value, entry.key), entry.key);
}

async function dropCopy(log: ShardLog, intent: CopyIntent, key: string): Promise<void> {
  const instance = log.environment.engines.get(intent.instance);
  if (instance === undefined) return;
  await instance.engine.delete(intent.id);
  await log.store.commit({ otherDeletes: [key] });
}

/** The batches of the rows in order. */
export async function* readRows(
  log: ShardLog,
  rows: readonly SegmentRow[],
  options: { readonly from?: number; readonly unreadable?: RewriteOptions['unreadable'] | undefined },
): AsyncGenerator<Uint8Array> {
  for (const row of rows) {
    for (let at = Math.max(row.base, options.from ?? 0); at < row.end; ) {
      const position = at;
      const read = (reader: SegmentReader) => reader.read(position, { maxBytes: READ_BYTES });
      const { bytes, next } = await readSegment(log, row, read, options.unreadable);
      if (bytes.length > 0) yield bytes;
      if (next <= at) break;
      at = next;
    }
  }
}

async function readSegment<T>(
  log: ShardLog,
  row: SegmentRow,
  read: (reader: SegmentReader) => Promise<T>,
  unreadable: RewriteOptions['unreadable'],
): Promise<T> {
  try {
    return await useSegment(log, row, read);
  } catch (error) {
    unreadable?.(row);
    throw error;
  }
}

async function* measured(
  chunks: AsyncIterable<Uint8Array>,
  stats: SegmentStats,
  progress: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    forEachBatch(chunk, (header, at) => stats.add(header, chunk, at, 0));
    progress?.(stats.bytes);
    yield chunk;
  }
}

function replacement(
  rows: readonly SegmentRow[],
  made: { seq: number; id: string; to: EngineInstance; stats: SegmentStats; compacted: boolean; archived: boolean },
): SegmentRow {
  const first = rows[0] as SegmentRow; // the caller has looked
  const last = rows.at(-1) as SegmentRow;
  const epochs = epochStarts(rows);
  return {
    seq: made.seq,
    id: made.id,
    instance: made.to.name,
    incarnation: made.to.engine.incarnation,
    state: 'SEALED',
    base: first.base,
    end: last.end,
    epoch: last.epoch,
    ...(epochs.length > 1 ? { epochs } : {}),
    ...made.stats.fields(),
    appendMaxTs: Math.max(...rows.map((row) => row.appendMaxTs)),
    ...(last.endState === undefined ? {} : { endState: last.endState }),
    ...(made.compacted || rows.every((row) => row.compacted) ? { compacted: true } : {}),
    ...(made.archived || rows.every((row) => row.archived && row.instance === made.to.name) ? { archived: true } : {}),
  };
}
