import { dirname } from 'node:path';
import type { FileHandle, FileSystem, SyncFileSystem } from '@robustmq/core';

/** Files in memory, each step of which is written down, may fail, and may be held up. Steps that only read are not written down. */
export class MemoryDisk {
  readonly files: Map<string, Buffer> = new Map();
  readonly directories: Set<string> = new Set();
  readonly calls: string[] = [];
  /** Paths of files that were there, each time one was opened. */
  readonly opened: string[] = [];
  /** Of the handles that were given, those that were not closed. */
  openHandles = 0;
  /** Of its bytes, how many are said to be free. */
  free: number = 2 ** 40;
  /** Asked before each step; what it gives is thrown. */
  fault: (call: string) => unknown = () => undefined;
  /** Asked before a file is opened to be read, and before a directory is listed; what it gives is thrown. */
  unreadable: (path: string) => unknown = () => undefined;
  /** Asked before each step; it goes on when this settles. */
  hold: (call: string) => Promise<unknown> | undefined = () => undefined;

  readonly fs: FileSystem = {
    open: async (path: string, flags: string) => {
      if (flags === 'r') this.#look(path);
      if (flags === 'w+' || flags === 'wx+') {
        await this.#step(`create ${path}`);
        this.files.set(path, Buffer.alloc(0));
      } else if (!this.files.has(path)) throw coded('ENOENT');
      else this.opened.push(path);
      return this.#handle(path);
    },
    rename: async (from: string, to: string) => {
      await this.#step(`rename ${to}`);
      this.files.set(to, this.files.get(from) ?? Buffer.alloc(0));
      this.files.delete(from);
    },
    unlink: async (path: string) => {
      await this.#step(`unlink ${path}`);
      if (!this.files.delete(path)) throw coded('ENOENT');
    },
    readdir: async (path: string) => {
      this.#look(path);
      const names = [...this.files.keys()]
        .filter((one) => dirname(one) === path)
        .map((one) => one.slice(path.length + 1));
      if (names.length === 0 && !this.directories.has(path)) throw coded('ENOENT');
      return names;
    },
    mkdir: async (path: string) => {
      if (this.directories.has(path)) return;
      await this.#step(`mkdir ${path}`);
      this.directories.add(path);
    },
    freeBytes: async () => this.free,
    syncDirectory: (path: string) => this.#step(`syncDirectory ${path}`),
    // for a log that is written without a thread: see `memory-engine.ts`
    worker: { module: new URL('./scripted-disk.ts', import.meta.url).href, options: this.#sync() },
  };

  #handle(path: string): FileHandle {
    this.openHandles++;
    const now = (): Buffer => this.files.get(path) ?? Buffer.alloc(0);
    return {
      read: async (into: Uint8Array, at: number, length: number, position: number) =>
        now().copy(into, at, position, position + length),
      write: async (bytes: Uint8Array, position: number) => {
        await this.#step(`write ${path}`);
        this.#put(path, bytes, position);
      },
      datasync: () => this.#step(`sync ${path}`),
      truncate: () => Promise.reject(new Error('nobody asks for it')),
      size: async () => now().length,
      close: async () => void this.openHandles--,
    };
  }

  /** The same files for the log's thread, whose steps are written down and may fail, too. */
  #sync(): SyncFileSystem {
    const paths: string[] = [];
    const of = (fd: number): string => paths[fd] ?? '';
    return {
      open: (path, flags) => {
        const isThere = this.files.has(path);
        if (flags.startsWith('wx') ? isThere : !isThere) throw coded(isThere ? 'EEXIST' : 'ENOENT');
        if (!isThere) {
          this.#fail(`create ${path}`);
          this.files.set(path, Buffer.alloc(0));
        }
        return paths.push(path) - 1;
      },
      read: (fd, into, position) => (this.files.get(of(fd)) ?? Buffer.alloc(0)).copy(into, 0, position),
      writev: (fd, buffers, position) => {
        this.#fail(`write ${of(fd)}`);
        this.#put(of(fd), Buffer.concat(buffers), position);
      },
      datasync: () => {},
      close: () => {},
      rename: () => {},
      unlink: () => {},
      syncDirectory: (path) => this.#fail(`syncDirectory ${path}`),
    };
  }

  #put(path: string, bytes: Uint8Array, position: number): void {
    const before = this.files.get(path) ?? Buffer.alloc(0);
    if (position + bytes.length <= before.length) return void before.set(bytes, position);
    const after = Buffer.alloc(position + bytes.length);
    before.copy(after);
    after.set(bytes, position);
    this.files.set(path, after);
  }

  #look(path: string): void {
    const thrown = this.unreadable(path);
    if (thrown !== undefined) throw thrown;
  }

  #fail(call: string): void {
    this.calls.push(call);
    const thrown = this.fault(call);
    if (thrown !== undefined) throw thrown;
  }

  /** What a kill -9 at this moment leaves. */
  copy(): MemoryDisk {
    const other = new MemoryDisk();
    for (const [path, bytes] of this.files) other.files.set(path, Buffer.from(bytes));
    for (const path of this.directories) other.directories.add(path);
    return other;
  }

  async #step(call: string): Promise<void> {
    this.calls.push(call);
    await this.hold(call);
    const thrown = this.fault(call);
    if (thrown !== undefined) throw thrown;
  }
}

export function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}
