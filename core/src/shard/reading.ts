/** Reads that cross segments: the chain is followed from the row that holds the offset, whatever engine each one lies on. */
import type { ReadOptions, ShardOffsets, ShardRead } from '../adapter.ts';
import { forEachBatch } from '../batch/check.ts';
import { type BatchHeader, nextOffset } from '../batch/header.ts';
import { decodeRecords, firstRecordAtOrAfter } from '../batch/records.ts';
import type { SegmentRead, SegmentReader } from '../engine.ts';
import { isStorageError, StorageError } from '../errors.ts';
import { indexAtOrBelow, type SegmentRow } from './chain.ts';
import { instanceOf } from './environment.ts';
import type { ShardLog } from './log.ts';
import { batchesOf } from './recovery.ts';

/** A read of the next segment is worth its while only for so many bytes. */
const MIN_PIECE_BYTES = 4096;
type PieceOptions = Parameters<SegmentReader['read']>[1];

/** How often a read looks at the chain again because a segment went away under it. */
const MAX_CHAIN_READS = 3;

export function offsetsOf(log: ShardLog): ShardOffsets {
  return { logStart: log.logStart, committed: log.committed, lastStable: log.committed, epoch: log.epoch };
}

/** @throws OFFSET_TRIMMED, OFFSET_BEYOND_END, CORRUPT, SEGMENT_LOST, ABORTED */
export async function readChain(
  log: ShardLog,
  from: number,
  { maxBytes, signal }: Pick<ReadOptions, 'maxBytes' | 'signal'>,
): Promise<ShardRead> {
  checkBounds(log, from);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let at = from;
  // the end is taken once: a reader that keeps up with a writer must come back at some point
  const end = log.committed;
  while (at < end && (chunks.length === 0 || maxBytes - bytes >= MIN_PIECE_BYTES)) {
    let piece: SegmentRead;
    try {
      piece = await readPiece(log, at, {
        maxBytes: Math.max(1, maxBytes - bytes),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      // what was read is good; the next read begins where the trouble is, and tells
      if (chunks.length > 0) break;
      throw error;
    }
    if (piece.bytes.length > 0) {
      if (chunks.length > 0 && bytes + piece.bytes.length > maxBytes) break;
      chunks.push(piece.bytes);
      bytes += piece.bytes.length;
    }
    if (piece.next <= at) break;
    at = piece.next;
  }
  log.environment.counters.readBytes.value += bytes;
  return { chunks, bytes, next: at, offsets: offsetsOf(log) };
}

export async function timestampLookup(
  log: ShardLog,
  timestamp: number,
): Promise<{ offset: number; timestamp: number } | undefined> {
  const candidates = log.rows.filter(
    (row) => row.state === 'SEALED' && row.maxTs >= timestamp && row.end > log.logStart,
  );
  for (const row of candidates) {
    const found = await useSegment(log, row, (reader) => findInSegment(log, reader, row.end, timestamp));
    if (found !== undefined) return found;
  }
  const { open } = log;
  if (open === undefined || open.stats.maxTs < timestamp) return undefined;
  return findInSegment(log, open.writer, log.committed, timestamp);
}

export function useSegment<T>(log: ShardLog, row: SegmentRow, use: (reader: SegmentReader) => Promise<T>): Promise<T> {
  const open = () => instanceOf(log.environment, row.instance).engine.openReader(row.id);
  return log.environment.readers.use(row.id, open, use);
}

function checkBounds(log: ShardLog, from: number): void {
  const offsets = { start: log.logStart, end: log.committed };
  if (!Number.isSafeInteger(from) || from < 0)
    throw new StorageError('OFFSET_TRIMMED', `${from} is no offset`, { where: log.where, offsets });
  if (from < log.logStart)
    throw new StorageError('OFFSET_TRIMMED', `offset ${from} is gone, the log begins at ${log.logStart}`, {
      where: log.where,
      offsets,
    });
  if (from > log.committed)
    throw new StorageError('OFFSET_BEYOND_END', `offset ${from} is not written yet, the log ends at ${log.committed}`, {
      where: log.where,
      offsets,
    });
}

async function readPiece(log: ShardLog, at: number, options: PieceOptions): Promise<SegmentRead> {
  for (let attempt = 1; ; attempt++) {
    const { open } = log;
    if (open !== undefined && at >= open.row.base) {
      try {
        log.environment.coldReads.hotRead();
        return upTo(await open.writer.read(at, { maxBytes: options.maxBytes }), at, log.committed);
      } catch (error) {
        if (attempt >= MAX_CHAIN_READS || log.open === open) throw error;
        continue; // it was sealed or recovered meanwhile
      }
    }
    const row = log.rows[indexAtOrBelow(log.rows, at)];
    if (row === undefined || row.end <= at) return { bytes: new Uint8Array(0), next: nextBase(log, at) };
    if (row.state === 'LOST') return { bytes: new Uint8Array(0), next: row.end };
    const copy = await readKept(log, at, options);
    if (copy !== undefined) return copy;
    try {
      return await readSealed(log, row, at, options);
    } catch (error) {
      const gone = isStorageError(error, 'SEGMENT_UNKNOWN', 'SEGMENT_LOST', 'CLOSED');
      if (!gone || attempt >= MAX_CHAIN_READS) {
        if (isStorageError(error, 'CORRUPT', 'SEGMENT_UNKNOWN', 'SEGMENT_LOST')) log.damaged(row, error);
        throw error;
      }
      // replaced, or dropped by retention, between the look at the chain and the read
      if (at < log.logStart) checkBounds(log, at);
    }
  }
}

/** Whether a read from there need not wait for anything but its engine: what does not lie where the topic's new data goes is cold. */
export function isNearAt(log: ShardLog, at: number): boolean {
  const row = keptAt(log, at) ?? log.rows[indexAtOrBelow(log.rows, at)];
  return row === undefined || row.end <= at || isNear(log, row);
}

function isNear(log: ShardLog, { instance }: SegmentRow): boolean {
  return instance === log.topic.settings.engine;
}

function keptAt(log: ShardLog, at: number): SegmentRow | undefined {
  return log.deleting.find((row) => row.kept === true && row.base <= at && at < row.end);
}

/** Cold reads give way to those of what is near. */
function readSealed(log: ShardLog, row: SegmentRow, at: number, options: PieceOptions): Promise<SegmentRead> {
  const { coldReads } = log.environment;
  const read = () => useSegment(log, row, async (reader) => reader.read(at, options));
  if (!isNear(log, row)) return coldReads.run(options.maxBytes, options.signal, read);
  coldReads.hotRead();
  return read();
}

/** From a copy that stayed near when its segment was archived. Whatever is wrong with that, the archive has it all. */
async function readKept(log: ShardLog, at: number, options: PieceOptions): Promise<SegmentRead | undefined> {
  const copy = keptAt(log, at);
  if (copy === undefined) return undefined;
  try {
    return await readSealed(log, copy, at, options);
  } catch {
    return undefined;
  }
}

/** The engine may have committed what the shard has not: after a failed writer only recovery tells. */
function upTo(piece: SegmentRead, at: number, committed: number): SegmentRead {
  if (piece.next <= committed) return piece;
  let bytes = 0;
  let next = at;
  forEachBatch(piece.bytes, (header) => {
    if (nextOffset(header) > committed) return;
    bytes += header.bytes;
    next = nextOffset(header);
  });
  return { bytes: piece.bytes.subarray(0, bytes), next };
}

/** Where the chain goes on after a hole. */
function nextBase(log: ShardLog, at: number): number {
  const following = log.rows.find((row) => row.base > at);
  return following?.base ?? log.open?.row.base ?? log.committed;
}

async function findInSegment(
  log: ShardLog,
  reader: SegmentReader,
  end: number,
  timestamp: number,
): Promise<{ offset: number; timestamp: number } | undefined> {
  const first = await reader.offsetForTimestamp(timestamp);
  if (first === undefined) return undefined;
  // from there batch by batch: the first one may lie below the log's start, or have no such record at or after it
  for await (const { header, bytes, at } of batchesOf(reader, { from: Math.max(first, log.logStart), end })) {
    if (header.maxTimestamp < timestamp) continue;
    const record = recordAtOrAfter(bytes.subarray(at, at + header.bytes), header, timestamp, log.logStart);
    if (record !== undefined) return record;
  }
  return undefined;
}

function recordAtOrAfter(
  batch: Uint8Array,
  header: BatchHeader,
  timestamp: number,
  logStart: number,
): { offset: number; timestamp: number } | undefined {
  if (header.baseOffset >= logStart) return firstRecordAtOrAfter(batch, timestamp);
  const found = decodeRecords(batch).find((record) => record.offset >= logStart && record.timestamp >= timestamp);
  return found === undefined ? undefined : { offset: found.offset, timestamp: found.timestamp };
}
