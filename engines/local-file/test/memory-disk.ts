import type { FileHandle, FileSystem } from '@robustmq/core';

/** Files in memory, each step of which is written down, may fail, and may be held up. Steps that only read are not written down. */
export class MemoryDisk {
  readonly files: Map<string, Buffer> = new Map();
  readonly calls: string[] = [];
  /** Paths of files that were there, each time one was opened. */
  readonly opened: string[] = [];
  /** Of the handles that were given, those that were not closed. */
  openHandles = 0;
  /** Of its bytes, how many are said to be free. */
  free: number = 2 ** 40;
  /** Asked before each step; what it gives is thrown. */
  fault: (call: string) => unknown = () => undefined;
  /** Asked before each step; it goes on when this settles. */
  hold: (call: string) => Promise<unknown> | undefined = () => undefined;

  readonly fs: FileSystem = {
    open: async (path: string, flags: string) => {
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
    freeBytes: async () => this.free,
    syncDirectory: (path: string) => this.#step(`syncDirectory ${path}`),
  } as unknown as FileSystem; // what a checkpoint needs of one

  #handle(path: string): FileHandle {
    this.openHandles++;
    const now = (): Buffer => this.files.get(path) ?? Buffer.alloc(0);
    return {
      read: async (into: Uint8Array, at: number, length: number, position: number) =>
        now().copy(into, at, position, position + length),
      write: async (bytes: Uint8Array, position: number) => {
        await this.#step(`write ${path}`);
        const after = Buffer.alloc(Math.max(now().length, position + bytes.length));
        now().copy(after);
        after.set(bytes, position);
        this.files.set(path, after);
      },
      datasync: () => this.#step(`sync ${path}`),
      size: async () => now().length,
      close: async () => void this.openHandles--,
    } as unknown as FileHandle; // as above
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
