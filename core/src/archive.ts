/** Archives by themselves: what `robust-server archive ls|cat|verify|restore` work with. */
export type {
  ArchivedSegment,
  ArchivedShard,
  ArchivedTopic,
  ArchiveManifest,
} from './archive/manifest.ts';
export type { ManifestStatus } from './archive/manifest-keeper.ts';
export * from './archive/open-archive.ts';
export { archivedBatches } from './archive/read-segments.ts';
export * from './archive/restore.ts';
export type { Amount, ArchiveStatus, ShardArchiveStatus } from './archive/status.ts';
export { type Finding, type StrayObject, verifyArchive } from './archive/verify.ts';
