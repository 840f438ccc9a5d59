/** The Meta Service. One durable node on `level` for now, behind core's port. */
export { type LevelMeta, openLevelMeta } from './level-meta.ts';
