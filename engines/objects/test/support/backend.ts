import type { ObjectBackend } from '../../src/backend.ts';
import type { FileStore, ObjectStore } from '../../src/store/port.ts';

/** A store that may pretend to create conditionally, as a bucket does. */
export function backendOf(store: ObjectStore): ObjectBackend {
  return { store, creates: 'probed', place: { noun: 'bucket', settings: 'bucket and prefix' }, hints: {} };
}

/** A store of files, which takes a rename for what it is. */
export function fileBackendOf(store: FileStore, fileBytes: number): ObjectBackend {
  return { ...backendOf(store), creates: 'atomic', fileBytes };
}
