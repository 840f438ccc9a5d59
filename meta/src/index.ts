/** The Meta Service. One durable node on `level` for now, behind core's port. */
export { type LevelMeta, type LevelMetaOptions, type MetaHealth, openLevelMeta } from './level-meta.ts';
