import type { SegmentReader } from '../engine.ts';
import { isStorageError } from '../errors.ts';

interface Entry {
  readonly opening: Promise<SegmentReader>;
  users: number;
  /** Closed as soon as nobody uses it. */
  dropped: boolean;
}

/** Open readers of sealed segments of the whole node, the least recently used ones closed beyond a limit. */
export class ReaderCache {
  readonly #limit: number;
  readonly #entries = new Map<string, Entry>();

  constructor(limit = 256) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Runs `use` with an open reader, which stays open at least until it has settled. */
  async use<T>(
    key: string,
    open: () => Promise<SegmentReader>,
    use: (reader: SegmentReader) => Promise<T>,
  ): Promise<T> {
    const entry = this.#take(key, open);
    entry.users++;
    try {
      return await use(await entry.opening);
    } catch (error) {
      // who gives up says nothing of the reader
      if (!isStorageError(error, 'ABORTED')) this.drop(key, entry);
      throw error;
    } finally {
      entry.users--;
      this.#closeIfUnused(entry);
    }
  }

  /** Forgets a reader: the segment was replaced or deleted, or the reader failed. */
  drop(key: string, entry: Entry | undefined = this.#entries.get(key)): void {
    if (entry === undefined) return;
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    entry.dropped = true;
    this.#closeIfUnused(entry);
  }

  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.allSettled(entries.map(async (entry) => (await entry.opening).close()));
  }

  #take(key: string, open: () => Promise<SegmentReader>): Entry {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key); // to the end: the map is in order of last use
      this.#entries.set(key, known);
      return known;
    }
    const opening = open();
    opening.catch(() => {}); // whoever uses the entry sees the error
    const entry: Entry = { opening, users: 0, dropped: false };
    this.#entries.set(key, entry);
    for (const [oldest, candidate] of this.#entries) {
      if (this.#entries.size <= this.#limit) break;
      if (oldest !== key) this.drop(oldest, candidate);
    }
    return entry;
  }

  #closeIfUnused(entry: Entry): void {
    if (!entry.dropped || entry.users > 0) return;
    entry.opening.then((reader) => reader.close()).catch(() => {}); // it is being given up: there is nobody left to tell
  }
}
