import type { FileSystem } from '@robustmq/core';
import { encodePrepared } from './frames.ts';

export interface PreparerOptions {
  readonly fs: FileSystem;
  readonly dir: string;
  readonly fileBytes: number;
  /** Free space that must be left when a file has been prepared. */
  readonly reserveBytes: number;
}

const PIECE_BYTES = 1024 * 1024;
/** Not all at once: the log is being written on the same disk. */
const SYNC_BYTES = 8 * 1024 * 1024;
const TEMPORARY = '.new';

/**
 * Makes files that the log can be written into without a new block: a write that makes a file longer waits for the file system's
 * journal, and that for everything else that is new on the disk. A file has its name only when all of it is zeroed and synced.
 */
export class FilePreparer {
  readonly #options: PreparerOptions;
  #running: Promise<boolean> | undefined;
  #stopped = false;

  constructor(options: PreparerOptions) {
    this.#options = options;
  }

  get fileBytes(): number {
    return this.#options.fileBytes;
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** @returns false when there is no such file: no room, a failure, or stopped. What was begun is gone then. One at a time. */
  prepare(path: string): Promise<boolean> {
    if (this.#running !== undefined) throw new Error('a file is being prepared already');
    this.#running = this.#prepare(path)
      .catch(() => false)
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #prepare(path: string): Promise<boolean> {
    const { fs, dir, fileBytes, reserveBytes } = this.#options;
    if (this.#stopped || (await fs.freeBytes(dir)) < 2 * fileBytes + reserveBytes) return false;
    const temporary = path + TEMPORARY;
    try {
      if (!(await this.#zero(temporary))) {
        await fs.unlink(temporary);
        return false;
      }
      await fs.rename(temporary, path);
      await fs.syncDirectory(dir);
      return true;
    } catch {
      // under whichever name: nobody would write it before the next start, and the next try makes another
      for (const name of [temporary, path]) await fs.unlink(name).catch(() => {});
      return false;
    }
  }

  async #zero(path: string): Promise<boolean> {
    const { fs, fileBytes } = this.#options;
    const zeros = Buffer.alloc(Math.min(PIECE_BYTES, fileBytes));
    const file = await fs.open(path, 'w+');
    try {
      let unsynced = 0;
      for (let at = 0; at < fileBytes; at += zeros.length) {
        if (this.#stopped) return false;
        const bytes = zeros.subarray(0, Math.min(zeros.length, fileBytes - at));
        await file.write(bytes, at);
        unsynced += bytes.length;
        if (unsynced < SYNC_BYTES) continue;
        unsynced = 0;
        await file.datasync();
      }
      await file.write(encodePrepared(), 0);
      await file.datasync();
      return true;
    } finally {
      await file.close();
    }
  }
}

/** Begun before a crash, and never finished. */
export function isUnfinished(name: string): boolean {
  return name.endsWith(`.wal${TEMPORARY}`);
}
