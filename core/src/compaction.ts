/** Compaction of a shard's sealed segments, as pure functions over batches. */
export { type CompactOptions, type CompactStats, compact } from './compaction/compact.ts';
export { KeyMap } from './compaction/key-map.ts';
export { mapKeys } from './compaction/map-keys.ts';
