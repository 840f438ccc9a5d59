/**
 * Compaction: the newest record of each key stays, the older ones go; offsets stay as they are. Pure: batches in, batches out; core's
 * maintenance reads the segments, ingests the result and swaps the chain entries.
 *
 * One pass over a shard's sealed segments:
 *   1. `mapKeys` reads from `from`, where the last pass ended (0 the first time), as far as the map has room for keys. `keys.to` is
 *      where this pass ends and the next one begins.
 *   2. `compact` rewrites the segments from the log's start up to the one that holds `keys.to`, one segment or a group of neighbours at a
 *      time, oldest first, and each result is swapped in before the next one is begun. What lies at or above `keys.to` is kept as it is.
 * After a crash between two swaps the pass is done again from its start; nothing goes wrong by doing a part twice.
 *
 * What stays, beside the newest record of each key:
 * - records without a key (Kafka refuses to produce them to a compacted topic, and so does core's shard; older ones may be there);
 * - a tombstone, until its delete horizon. The first pass that leaves a tombstone standing alone, all older records of its key gone, writes
 *   the time of that pass plus `deleteRetentionMs` into its batch, as Kafka does (attribute bit 6, the time in baseTimestamp); a pass
 *   after that time drops it. So a reader that saw the old value has that long to read on to the tombstone, whatever the clients' clocks say;
 * - control batches and batches of transactions, whole: an aborted record must not displace a committed one;
 * - a batch whose records can't be decoded, whole: a client may write anything behind a right CRC, and what is not understood is not dropped.
 *
 * A batch that loses some records keeps its offsets (base and last), producer, sequence, leader epoch and codec; one that loses all
 * goes. Kafka keeps an emptied batch for each producer's last sequence, because its state is rebuilt from the batches. Here core stores
 * the fold with each segment, as it was at the segment's base, so state is never rebuilt through an older segment. Two things the caller
 * owes: never compact the shard's newest segment (what follows it is folded from its batches), and give the result the `state` and
 * `base` of the first segment of its group. The result of a group may hold no batch at all; it still stands for [base, end).
 *
 * It runs on the event loop and gives way: gzip and zstd work in libuv's pool, and with a `pace` the loop gets its turn between two batches.
 * (Not in a worker: what blocked the loop for 150 ms at once was gzip; what is left is single batches, 5 ms for 1 MiB of records.)
 *
 * Merging small neighbours without compaction needs nothing from here: ingest their chunks one behind the other.
 */
import { checkShape } from '../batch/check.ts';
import { MAX_DECOMPRESSED_BYTES } from '../batch/codec/codec.ts';
import { BATCH_HEADER_BYTES, type BatchHeader, hasDeleteHorizon, nextOffset } from '../batch/header.ts';
import { KeptRecords, rebuild } from './kept-records.ts';
import type { KeyMap } from './key-map.ts';
import type { Pace } from './pace.ts';
import { readable, standsAside } from './readable.ts';

export interface CompactOptions {
  readonly keys: KeyMap;
  /** Wall time of this pass, in milliseconds. */
  readonly nowMs: number;
  /** How long a tombstone outlives the last older record of its key. */
  readonly deleteRetentionMs: number;
  readonly maxDecompressedBytes?: number;
  readonly pace?: Pace;
}

export interface CompactStats {
  bytesIn: number;
  bytesOut: number;
  recordsKept: number;
  recordsDropped: number;
  /** Batches kept whole because their records can't be read. */
  undecodable: number;
}

/** The compacted form of `chunks`, which hold whole batches of one segment or several neighbours in ascending order. */
export function compact(
  chunks: AsyncIterable<Uint8Array>,
  options: CompactOptions,
): { readonly batches: AsyncIterable<Uint8Array>; readonly stats: CompactStats } {
  const stats: CompactStats = { bytesIn: 0, bytesOut: 0, recordsKept: 0, recordsDropped: 0, undecodable: 0 };
  return { batches: compactEach(chunks, options, stats), stats };
}

async function* compactEach(chunks: AsyncIterable<Uint8Array>, options: CompactOptions, stats: CompactStats) {
  for await (const chunk of chunks) {
    const compacted = await compactChunk(chunk, options, stats);
    if (compacted.length > 0) yield compacted;
  }
}

async function compactChunk(chunk: Uint8Array, options: CompactOptions, stats: CompactStats): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  // where the run of untouched batches began
  let run = 0;
  for (let at = 0; at < chunk.length; ) {
    await options.pace?.turn();
    const header = checkShape(chunk, at);
    const rewritten = await compactBatch(chunk, at, header, options, stats);
    if (rewritten !== undefined) {
      pieces.push(chunk.subarray(run, at), rewritten);
      run = at + header.bytes;
    }
    at += header.bytes;
  }
  pieces.push(chunk.subarray(run));
  const compacted = run === 0 ? chunk : Buffer.concat(pieces);
  stats.bytesIn += chunk.length;
  stats.bytesOut += compacted.length;
  return compacted;
}

/** What takes the batch's place: nothing (no bytes), another batch, or undefined when it stays as it is. */
async function compactBatch(
  chunk: Uint8Array,
  at: number,
  header: BatchHeader,
  options: CompactOptions,
  stats: CompactStats,
): Promise<Uint8Array | undefined> {
  const { keys, nowMs, deleteRetentionMs, maxDecompressedBytes = MAX_DECOMPRESSED_BYTES } = options;
  const cursor = standsAside(header) ? undefined : await readable(chunk, at, maxDecompressedBytes);
  if (cursor === undefined) {
    if (!standsAside(header)) stats.undecodable++;
    stats.recordsKept += header.recordCount;
    return undefined;
  }
  // a horizon in what is compacted for the first time is no pass's: a client may set that bit
  const marked = hasDeleteHorizon(header) && nextOffset(header) <= keys.from;
  const expired = marked && header.baseTimestamp <= nowMs;
  const kept = new KeptRecords();
  while (cursor.next()) {
    const key = cursor.key;
    const newest = key === null ? undefined : keys.latest(key);
    const superseded = newest !== undefined && cursor.offset < newest;
    if (!superseded && !(expired && key !== null && cursor.isTombstone)) kept.add(cursor);
  }
  stats.recordsKept += kept.count;
  stats.recordsDropped += header.recordCount - kept.count;
  if (kept.count === 0) return NOTHING;
  const horizon = nowMs + deleteRetentionMs;
  const mark = kept.tombstones && !marked && nextOffset(header) <= keys.to && kept.canBeRelativeTo(horizon);
  if (kept.count === header.recordCount && !mark) return undefined;
  return rebuild(chunk.subarray(at, at + BATCH_HEADER_BYTES), header, kept, mark ? horizon : undefined);
}

const NOTHING = new Uint8Array(0);
