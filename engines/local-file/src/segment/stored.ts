import { type FileSystem, type SegmentId, StorageError } from '@robustmq/core';
import { isMissing, readFile, sizeOf } from '../durable-file.ts';
import { DESCRIPTOR_BYTES, type Descriptor, decodeBody, decodeDescriptor, encodeDescriptor } from './descriptor.ts';
import type { OpenSegment } from './open-segment.ts';
import type { SegmentPaths } from './segment-files.ts';

/** The footer of a sealed segment, or `undefined` when there is none. @throws CORRUPT */
export async function readFooter(fs: FileSystem, paths: SegmentPaths, id: SegmentId): Promise<Descriptor | undefined> {
  const path = paths.of(id, 'footer');
  const bytes = await readFile(fs, path, DESCRIPTOR_BYTES);
  if (bytes === undefined) return undefined;
  const found = decodeDescriptor(bytes);
  if (found === undefined) throw damaged(id, path, 'The footer of the segment is damaged');
  return found;
}

/** Makes sure that the log is as long as the footer says; what is in it is checked when it is read. */
export async function checkLog(fs: FileSystem, paths: SegmentPaths, id: SegmentId, bytes: number): Promise<void> {
  if (bytes === 0) return;
  const path = paths.of(id, 'log');
  const size = await sizeOf(fs, path);
  if (size === undefined)
    throw new StorageError('SEGMENT_LOST', 'The file of the segment is gone', { where: `segment ${id}, ${path}` });
  if (size < bytes) throw damaged(id, path, `The file of the segment has ${size} bytes, it had ${bytes}`);
}

/** Core's state from whichever file has it. @throws CORRUPT, SEGMENT_LOST */
export async function stateOf(fs: FileSystem, paths: SegmentPaths, id: SegmentId): Promise<Buffer> {
  return (await bodyOf(fs, paths, id)).state;
}

export async function bodyOf(
  fs: FileSystem,
  paths: SegmentPaths,
  id: SegmentId,
): Promise<{ readonly uid: string; readonly state: Buffer }> {
  for (const kind of ['footer', 'head'] as const) {
    const path = paths.of(id, kind);
    const bytes = await readFile(fs, path);
    if (bytes === undefined) continue;
    const body = decodeDescriptor(bytes) === undefined ? undefined : decodeBody(bytes);
    if (body === undefined) throw damaged(id, path, 'The state of the segment is damaged');
    return body;
  }
  throw new StorageError('SEGMENT_LOST', 'Nothing is left that holds the state of the segment', {
    where: `segment ${id}`,
  });
}

/** Its head while it is open, its footer once it is sealed. */
export function footerOf(segment: OpenSegment, state: Uint8Array): Buffer {
  const { log } = segment;
  return encodeDescriptor(
    {
      number: segment.number,
      nonce: segment.nonce,
      sealed: segment.sealed,
      ingested: segment.ingested,
      base: segment.base,
      end: log.end,
      epoch: segment.epoch,
      fencedEpoch: segment.fencedEpoch,
      bytes: log.bytes,
      maxTimestamp: log.index.maxTimestamp,
      indexCount: log.index.count,
      lastIndexed: log.index.lastPosition,
      digest: segment.digest,
    },
    segment.uid,
    state,
  );
}

export async function exists(fs: FileSystem, path: string): Promise<boolean> {
  try {
    await (await fs.open(path, 'r')).close();
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function damaged(id: SegmentId, path: string, message: string): StorageError {
  return new StorageError('CORRUPT', message, {
    where: `segment ${id}, ${path}`,
    hint: 'Restore the file from a copy, or give the segment up with `topic recover --accept-loss`',
  });
}
