import { type FileHandle, type FileSystem, StorageError } from '@robustmq/core';
import { isMissing } from '../durable-file.ts';

/** Files of the log that are open for reading: one handle each, closed when nobody holds it any longer. */
export class LogReads {
  readonly #fs: FileSystem;
  readonly #files = new Map<string, LogFile>();
  readonly #closing = new Set<Promise<void>>();

  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  get open(): number {
    return this.#files.size;
  }

  /** The file, held once for the caller; `undefined` when there is none. */
  async file(path: string): Promise<LogFile | undefined> {
    const handle = this.#files.has(path) ? undefined : await this.#open(path);
    // somebody may have opened it meanwhile
    const known = this.#files.get(path);
    if (known !== undefined) {
      known.hold();
      await handle?.close();
      return known;
    }
    if (handle === undefined) return undefined;
    const file = new LogFile(path, handle, () => {
      if (this.#files.get(path) === file) this.#files.delete(path);
      const closing = handle.close().catch(() => {});
      this.#closing.add(closing);
      void closing.then(() => this.#closing.delete(closing));
    });
    this.#files.set(path, file);
    return file;
  }

  /** Closes all, whoever holds them: reads that have begun come to their end first. */
  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.end()));
    await Promise.all(this.#closing);
  }

  async #open(path: string): Promise<FileHandle | undefined> {
    try {
      return await this.#fs.open(path, 'r');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

/** One file of the log. What it holds may be overwritten as soon as a checkpoint does not need it any more. */
export class LogFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #onUnused: () => void;
  #holders = 1;
  #reading = 0;
  #ended = false;
  #idle: (() => void)[] = [];

  constructor(path: string, handle: FileHandle, onUnused: () => void) {
    this.path = path;
    this.#handle = handle;
    this.#onUnused = onUnused;
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    this.#closeIfUnused();
  }

  size(): Promise<number> {
    return this.#handle.size();
  }

  /** Fewer bytes than asked for only at the end of the file. */
  async read(into: Uint8Array, intoOffset: number, length: number, position: number): Promise<number> {
    // the number of a closed handle may be another file's by now
    if (this.#ended) throw new StorageError('CLOSED', 'The file of the log was closed', { where: this.path });
    this.#reading++;
    try {
      return await this.#handle.read(into, intoOffset, length, position);
    } finally {
      this.#reading--;
      this.#closeIfUnused();
    }
  }

  async end(): Promise<void> {
    this.#holders = 0;
    this.#closeIfUnused();
    if (!this.#ended) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #closeIfUnused(): void {
    if (this.#holders > 0 || this.#reading > 0 || this.#ended) return;
    this.#ended = true;
    this.#onUnused();
    for (const resolve of this.#idle) resolve();
  }
}
