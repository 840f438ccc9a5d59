import type { FileHandle, FileSystem } from '@robustmq/core';

interface Entry {
  readonly path: string;
  readonly opening: Promise<FileHandle>;
  users: number;
  doomed: boolean;
}

/** Open files, of which only so many are kept: ten thousand quiet segments hold no descriptor each. */
export class FileCache {
  readonly #fs: FileSystem;
  readonly #limit: number;
  /** In the order of last use. */
  readonly #entries = new Map<string, Entry>();
  #closing = new Set<Promise<void>>();

  constructor(fs: FileSystem, limit: number) {
    this.#fs = fs;
    this.#limit = limit;
  }

  get open(): number {
    return this.#entries.size;
  }

  /** Runs `use` with the file; it stays open at least until then. `create`: makes the file if it does not exist. */
  async with<T>(path: string, create: boolean, use: (file: FileHandle) => Promise<T>): Promise<T> {
    let entry = this.#entries.get(path);
    if (entry === undefined) entry = { path, opening: this.#open(path, create), users: 0, doomed: false };
    else this.#entries.delete(path);
    this.#entries.set(path, entry);
    entry.users++;
    try {
      return await use(await entry.opening);
    } catch (error) {
      // whatever is wrong with it, the next one opens it anew
      this.#drop(entry);
      throw error;
    } finally {
      entry.users--;
      if (entry.doomed && entry.users === 0) this.#close(entry);
      if (this.#entries.size > this.#limit) this.#evict();
    }
  }

  /** The file will be replaced or removed: nobody gets the open one any more. */
  forget(path: string): void {
    const entry = this.#entries.get(path);
    if (entry !== undefined) this.#drop(entry);
  }

  async close(): Promise<void> {
    for (const entry of [...this.#entries.values()]) this.#drop(entry);
    await Promise.all(this.#closing);
  }

  #evict(): void {
    for (const entry of this.#entries.values()) {
      if (this.#entries.size <= this.#limit) return;
      if (entry.users === 0) this.#drop(entry);
    }
  }

  #drop(entry: Entry): void {
    if (entry.doomed) return;
    entry.doomed = true;
    if (this.#entries.get(entry.path) === entry) this.#entries.delete(entry.path);
    if (entry.users === 0) this.#close(entry);
  }

  #close(entry: Entry): void {
    const closing = entry.opening.then(
      (file) => file.close().catch(() => {}),
      () => {},
    );
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }

  async #open(path: string, create: boolean): Promise<FileHandle> {
    try {
      return await this.#fs.open(path, 'r+');
    } catch (error) {
      if (!create || (error as { code?: string }).code !== 'ENOENT') throw error;
      return await this.#fs.open(path, 'wx+');
    }
  }
}
