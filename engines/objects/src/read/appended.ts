import type { SteadyStore } from '../store/steady-store.ts';

/**
 * What one append added to a file counts as an object of its own: it is never changed, and its pieces are cached by themselves. Its key is that of the file and
 * where the append begins.
 */
export function appendedKey(key: string, from: number | undefined): string {
  return from === undefined ? key : `${key}${MARK}${from}`;
}

export function isAppended(key: string): boolean {
  return MARKED.test(key);
}

/** Of an object no name ends so; a prefix may hold whatever it likes. */
const MARK = '#';
const MARKED = /#(\d+)$/;

/** Reads of a store that know what was appended. */
export function readsOf(store: SteadyStore): Pick<SteadyStore, 'getRange' | 'getTail'> {
  return {
    getRange: (key, at, bytes, options) => {
      const mark = MARKED.exec(key);
      if (mark === null) return store.getRange(key, at, bytes, options);
      return store.getRange(key.slice(0, mark.index), Number(mark[1]) + at, bytes, options);
    },
    getTail: (key, bytes, options) => store.getTail(key, bytes, options),
  };
}
