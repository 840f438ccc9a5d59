/**
 * What engines on stores of whole objects share: segments in write-ahead objects and images, rows in Meta that lead to them, pace, budget, cache, archive. An
 * engine brings an {@link ObjectStore} and its settings. See README.md.
 */
export { openObjectArchive } from './archive.ts';
export type { Hints, ObjectBackend } from './backend.ts';
export { forecast } from './forecast.ts';
export { openObjects } from './open.ts';
export {
  duration,
  MAX_BATCH_BYTES,
  OBJECT_PROPERTIES,
  type ObjectSettings,
  type Prices,
  size,
  text,
  whole,
} from './settings.ts';
export { withDeadline } from './store/deadline.ts';
export {
  type CallOptions,
  type FileStore,
  type ListedObject,
  type ListOptions,
  MIN_PART_BYTES,
  type ObjectInfo,
  type ObjectStore,
  type PutOptions,
  StoreError,
  type StoreTrouble,
} from './store/port.ts';
