/** What lay where an unsynced write went. */
export interface Overwritten {
  readonly position: number;
  readonly bytes: Uint8Array;
  /** Of the file, before. */
  readonly size: number;
}

/** Writes of one thread that no sync has covered yet, by path: what a sync that fails may lose. */
export class UnsyncedWrites {
  readonly #files = new Map<string, Overwritten[]>();

  wrote(path: string, before: Overwritten): void {
    const writes = this.#files.get(path);
    if (writes === undefined) this.#files.set(path, [before]);
    else writes.push(before);
  }

  /** They are safe, or gone: in the order in which they must be undone. */
  take(path: string): Overwritten[] {
    const writes = this.#files.get(path) ?? [];
    this.#files.delete(path);
    return writes.reverse();
  }

  renamed(from: string, to: string): void {
    const writes = this.#files.get(from);
    this.#files.delete(from);
    this.#files.delete(to);
    if (writes !== undefined) this.#files.set(to, writes);
  }

  removed(path: string): void {
    this.#files.delete(path);
  }
}
