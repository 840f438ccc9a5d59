/** Records of an archive, read from its store alone. */
import { forEachBatch } from '../batch/check.ts';
import type { ArchiveReader, SegmentReader } from '../engine.ts';
import { isStorageError, StorageError } from '../errors.ts';
import { SegmentStats } from '../shard/chain.ts';
import { asStorageError } from '../shard/failure.ts';
import type { ArchivedSegment } from './manifest.ts';

const READ_BYTES: number = 1024 * 1024;

/** Whole batches of the segments from `from` on, in order; what lies between segments is not in the archive and is passed over. */
export async function* archivedBatches(
  reader: ArchiveReader,
  segments: readonly ArchivedSegment[],
  from: number,
): AsyncGenerator<Uint8Array> {
  for (const segment of segments) {
    if (segment.end <= from) continue;
    yield* batchesOf(reader, segment, Math.max(segment.base, from));
  }
}

/** They say nothing about the segment. */
const OF_THE_STORE = ['STORE_UNAVAILABLE', 'STORE_DENIED', 'STORE_MISCONFIGURED', 'CLOSED', 'ABORTED'] as const;

/**
 * Reads a whole segment and holds it against what the manifest says.
 * @returns what is wrong with it, if anything. @throws STORE_UNAVAILABLE and the like when nothing can be told
 */
export async function checkSegment(reader: ArchiveReader, segment: ArchivedSegment): Promise<StorageError | undefined> {
  const stats = new SegmentStats();
  try {
    for await (const chunk of batchesOf(reader, segment, segment.base))
      forEachBatch(chunk, (header, at) => stats.add(header, chunk, at, 0));
  } catch (error) {
    if (isStorageError(error, ...OF_THE_STORE)) throw error;
    return asStorageError(error, segment.id);
  }
  if (stats.bytes === segment.bytes && stats.crc === segment.crc) return undefined;
  return unlike(
    segment,
    `it has ${stats.bytes} bytes with digest ${stats.crc}, the manifest says ${segment.bytes} and ${segment.crc}`,
  );
}

async function* batchesOf(reader: ArchiveReader, segment: ArchivedSegment, from: number): AsyncGenerator<Uint8Array> {
  const opened: SegmentReader = await reader.openReader(segment.place);
  try {
    const { base, end } = opened.offsets();
    if (base !== segment.base || end !== segment.end)
      throw unlike(segment, `it holds ${base} to ${end}, the manifest says ${segment.base} to ${segment.end}`);
    for (let at = from; at < segment.end; ) {
      const { bytes, next } = await opened.read(at, { maxBytes: READ_BYTES });
      if (bytes.length > 0) yield bytes;
      if (next <= at) return;
      at = next;
    }
  } finally {
    await opened.close();
  }
}

/** The segment is not what the manifest says it is. */
export function unlike({ id }: ArchivedSegment, what: string): StorageError {
  const hint = 'Bring what the manifest names back from a version or a copy of the store';
  return new StorageError('CORRUPT', what, { where: id, hint });
}
