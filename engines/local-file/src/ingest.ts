import { dirname } from 'node:path';
import {
  type FileHandle,
  type FileSystem,
  forEachBatch,
  headerDigest,
  type IngestOptions,
  type IngestResult,
  nextOffset,
  type SegmentId,
  StorageError,
} from '@robustmq/core';
import { ioError, removeFile } from './durable-file.ts';
import { encodeDescriptor } from './segment/descriptor.ts';
import type { SegmentPaths } from './segment/segment-files.ts';
import { encodeIndexHeader, SparseIndex } from './segment/sparse-index.ts';

/** Small chunks share a write. */
const WRITE_BYTES = 256 * 1024;

/**
 * Writes one whole sealed segment: log and index under other names, synced; a footer under another name, synced; then log, index and
 * footer get their names, in this order. It exists from the moment its footer has its name: what is found without is swept.
 */
export async function ingestSegment(
  fs: FileSystem,
  paths: SegmentPaths,
  id: SegmentId,
  options: IngestOptions,
  batches: AsyncIterable<Uint8Array>,
  how: { readonly interval: number; readonly nonce: number; reserve(bytes: number): boolean },
): Promise<IngestResult> {
  const kinds = ['log', 'index', 'footer'] as const;
  try {
    const log = await fs.open(paths.temporary(id, 'log'), 'w+');
    let written: WrittenLog;
    try {
      written = await writeLog(log, id, options, batches, how);
    } finally {
      await log.close();
    }
    const { bytes, crc, index } = written;
    await writeAll(fs, paths.temporary(id, 'index'), [encodeIndexHeader(options.base), index.encode(0)]);
    const facts = {
      number: 0,
      nonce: how.nonce,
      sealed: true,
      ingested: true,
      base: options.base,
      end: options.end,
      epoch: options.epoch,
      fencedEpoch: options.epoch,
      bytes,
      maxTimestamp: index.maxTimestamp,
      indexCount: index.count,
      lastIndexed: index.lastPosition,
      digest: crc,
    };
    await writeAll(fs, paths.temporary(id, 'footer'), [encodeDescriptor(facts, options.uid, options.state)]);
    // the footer's other name must be on the disk before the log has its own: a crash in between tells itself by it
    await fs.syncDirectory(dirname(paths.of(id, 'log')));
    for (const kind of kinds) await fs.rename(paths.temporary(id, kind), paths.of(id, kind));
    await fs.syncDirectory(dirname(paths.of(id, 'log')));
    return { bytes, crc };
  } catch (error) {
    // the footer's other name goes last: after a crash in between it tells that a log and an index are nobody's
    for (const kind of ['footer', 'log', 'index'] as const) await removeFile(fs, paths.of(id, kind)).catch(() => {});
    for (const kind of kinds) await removeFile(fs, paths.temporary(id, kind)).catch(() => {});
    throw ioError('Writing the segment failed', `segment ${id}`, error);
  }
}

interface WrittenLog {
  readonly bytes: number;
  readonly crc: number;
  readonly index: SparseIndex;
}

async function writeLog(
  file: FileHandle,
  id: SegmentId,
  options: IngestOptions,
  batches: AsyncIterable<Uint8Array>,
  how: { readonly interval: number; reserve(bytes: number): boolean },
): Promise<WrittenLog> {
  const index = new SparseIndex(how.interval);
  let bytes = 0;
  let crc = 0;
  let next = options.base;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const flush = async (): Promise<void> => {
    if (heldBytes === 0) return;
    if (!how.reserve(heldBytes)) throw new StorageError('DISK_FULL', 'The disk is full', { where: `segment ${id}` });
    await file.write(held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held), bytes - heldBytes);
    held = [];
    heldBytes = 0;
  };
  for await (const chunk of batches) {
    forEachBatch(chunk, (header, at) => {
      if (header.baseOffset < next || nextOffset(header) > options.end)
        throw new StorageError('BATCH_INVALID', `A batch at offset ${header.baseOffset}, after ${next}`, {
          where: `segment ${id}, which ends at ${options.end}`,
        });
      next = nextOffset(header);
      index.add(header.baseOffset, bytes + at, header.maxTimestamp);
      crc = headerDigest(crc, chunk, at);
    });
    bytes += chunk.length;
    heldBytes += chunk.length;
    // the bytes may be changed once the next chunk is asked for
    held.push(chunk.length >= WRITE_BYTES ? chunk : Buffer.from(chunk));
    if (heldBytes >= WRITE_BYTES) await flush();
  }
  await flush();
  await file.datasync();
  return { bytes, crc, index };
}

async function writeAll(fs: FileSystem, path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = await fs.open(path, 'w+');
  try {
    await file.write(Buffer.concat(pieces), 0);
    await file.datasync();
  } finally {
    await file.close();
  }
}
