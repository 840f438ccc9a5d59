import type { SyncFileSystem } from '@robustmq/core';

/** A worker gets its file system from a module: this one gives it the object that the test holds. */
export function createSyncFileSystem(disk: SyncFileSystem): SyncFileSystem {
  return disk;
}

export interface Written {
  readonly path: string;
  readonly at: number;
  readonly bytes: Buffer;
}

/** Files in memory, and failures where the test wants them. */
export class ScriptedDisk implements SyncFileSystem {
  readonly files: Map<string, Buffer> = new Map();
  readonly calls: string[] = [];
  /** Asked before each call, with its name and path: what it gives back is thrown. */
  fault: (call: string, path: string) => unknown = () => undefined;
  #fds: string[] = [];

  open(path: string, flags: 'r' | 'r+' | 'wx+' | 'r+ds' | 'wx+ds'): number {
    this.#call(`open ${flags}`, path);
    if (flags.startsWith('wx') && this.files.has(path)) throw coded('EEXIST');
    if (!this.files.has(path)) this.files.set(path, Buffer.alloc(0));
    return this.#fds.push(path) - 1;
  }

  read(fd: number, into: Uint8Array, position: number): number {
    return (this.files.get(this.#of(fd)) ?? Buffer.alloc(0)).copy(into, 0, position);
  }

  writev(fd: number, buffers: readonly Uint8Array[], position: number): void {
    const path = this.#of(fd);
    this.#call('write', path);
    const bytes = Buffer.concat(buffers);
    const before = this.files.get(path) ?? Buffer.alloc(0);
    const after = Buffer.alloc(Math.max(before.length, position + bytes.length));
    before.copy(after);
    bytes.copy(after, position);
    this.files.set(path, after);
  }

  datasync(): void {}

  close(fd: number): void {
    this.#call('close', this.#of(fd));
  }

  rename(): void {}

  unlink(): void {}

  syncDirectory(path: string): void {
    this.#call('syncDirectory', path);
  }

  #of(fd: number): string {
    return this.#fds[fd] ?? '';
  }

  #call(call: string, path: string): void {
    const error = this.fault(call, path);
    this.calls.push(`${call} ${path}`);
    if (error !== undefined) throw error;
  }
}

export function coded(code: string): Error {
  return Object.assign(new Error(`it said ${code}`), { code });
}
