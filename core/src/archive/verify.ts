/** Is everything there that the newest manifest names, and as it says? Reads every byte; changes nothing. */
import type { ArchiveReader } from '../engine.ts';
import type { StorageError } from '../errors.ts';
import type { ArchivedSegment, ArchiveManifest } from './manifest.ts';
import { checkSegment, unlike } from './read-segments.ts';

export type Finding =
  /** A segment was read; `error` when something is wrong with it. */
  | {
      readonly kind: 'segment';
      readonly topic: string;
      readonly shard: number;
      readonly segment: ArchivedSegment;
      readonly error: StorageError | undefined;
    }
  /** No manifest lists it: nothing that anybody should rely upon. */
  | { readonly kind: 'unlisted'; readonly object: StrayObject };

export interface StrayObject {
  readonly name: string;
  readonly bytes: number;
  readonly putAt: number;
  /** It may have been put after the manifest was written: then its segment is in no manifest yet. */
  readonly isLater: boolean;
}

/** `putAt` is the store's clock, the manifest's the node's. S3 serves nobody whose clock is further from its own than this. */
const CLOCKS_APART_MS = 15 * 60_000;

/** @throws STORE_UNAVAILABLE and the like when the store does not let it look */
export async function* verifyArchive(reader: ArchiveReader, manifest: ArchiveManifest): AsyncGenerator<Finding> {
  for (const { name: topic, shards } of manifest.topics)
    for (const { shard, segments } of shards)
      for (const [index, segment] of segments.entries()) {
        const overlaps = segment.base < (segments[index - 1]?.end ?? 0);
        const error = overlaps
          ? unlike(segment, 'it begins before the one in front of it ends')
          : await checkSegment(reader, segment);
        yield { kind: 'segment', topic, shard, segment, error };
      }
  const { strays } = compareObjects(reader, manifest);
  for await (const object of strays) yield { kind: 'unlisted', object };
}

/**
 * What lies in the store against what the manifest names. `strays` must be read to its end; then `missing` are the names that were not
 * found.
 */
export function compareObjects(
  reader: ArchiveReader,
  manifest: ArchiveManifest,
): { readonly strays: AsyncIterable<StrayObject>; readonly missing: ReadonlySet<string> } {
  const named = new Set(
    manifest.topics.flatMap(({ shards }) =>
      shards.flatMap(({ segments }) => segments.map(({ place }) => reader.objectOf(place))),
    ),
  );
  const missing = new Set(named);
  async function* strays(): AsyncGenerator<StrayObject> {
    for await (const { name, bytes, putAt } of reader.objects()) {
      missing.delete(name);
      if (!named.has(name)) yield { name, bytes, putAt, isLater: putAt + CLOCKS_APART_MS > manifest.writtenAt };
    }
  }
  return { strays: strays(), missing };
}
