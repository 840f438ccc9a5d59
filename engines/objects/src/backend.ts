import type { ObjectStore, StoreTrouble } from './store/port.ts';

/** A store, and what is particular to its kind. */
export interface ObjectBackend {
  readonly store: ObjectStore;
  /**
   * Whether it creates an object only where there is none, also in a race: `atomic` where that is how it works, `probed` where it may only
   * pretend to, so that a race at the start has to tell.
   */
  readonly creates: 'atomic' | 'probed';
  /** Of a store of files: everything is appended to a file until it has so many bytes. Elsewhere each put is an object of its own. */
  readonly fileBytes?: number;
  /** What it is called, and which settings name it: `bucket`, `endpoint, bucket and prefix`. */
  readonly place: { readonly noun: string; readonly settings: string };
  /** What a person does about a trouble, where the general advice is not enough. */
  readonly hints: Hints;
}

export type Hints = Readonly<Partial<Record<StoreTrouble, string>>>;
