import type { FileHandle, FileSystem } from '../world.ts';
import type { FaultOperation, FaultPlan } from './fault-plan.ts';

/**
 * A file system that does what `plan` says before it does what it was asked: errors, stalls, a byte budget, counts. Its worker half
 * reads the same plan, which lives in shared memory, so a test can change it while the worker runs.
 */
export function faultyFileSystem(under: FileSystem, plan: FaultPlan): FileSystem {
  return {
    open: async (path, flags) => {
      await plan.enter(flags === 'r' || flags === 'r+' ? 'open' : 'create', path);
      const file = await under.open(path, flags);
      return new FaultyFile(file, path, plan);
    },
    rename: async (from, to) => {
      await plan.enter('rename', to);
      await under.rename(from, to);
    },
    unlink: async (path) => {
      await plan.enter('unlink', path);
      await under.unlink(path);
    },
    readdir: (path) => under.readdir(path),
    mkdir: (path) => under.mkdir(path),
    syncDirectory: async (path) => {
      await plan.enter('syncDirectory', path);
      await under.syncDirectory(path);
    },
    freeBytes: async (path) => plan.freeBytes(await under.freeBytes(path)),
    worker: {
      module: new URL(import.meta.url.endsWith('.ts') ? './faulty-sync.ts' : './faulty-sync.js', import.meta.url).href,
      options: { under: under.worker, plan: plan.shared },
    },
  };
}

class FaultyFile implements FileHandle {
  readonly #under: FileHandle;
  readonly #path: string;
  readonly #plan: FaultPlan;

  constructor(under: FileHandle, path: string, plan: FaultPlan) {
    this.#under = under;
    this.#path = path;
    this.#plan = plan;
  }

  async read(into: Uint8Array, intoOffset: number, length: number, position: number): Promise<number> {
    await this.#enter('read', 0);
    const count = await this.#under.read(into, intoOffset, length, position);
    this.#plan.countRead(this.#path, count);
    return count;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await this.#enter('write', await this.#growth(position + bytes.length));
    await this.#under.write(bytes, position);
    this.#plan.countWritten(this.#path, bytes.length);
  }

  async datasync(): Promise<void> {
    await this.#enter('sync', 0);
    await this.#under.datasync();
  }

  async truncate(length: number): Promise<void> {
    await this.#enter('truncate', await this.#growth(length));
    await this.#under.truncate(length);
  }

  size(): Promise<number> {
    return this.#under.size();
  }

  close(): Promise<void> {
    return this.#under.close();
  }

  #enter(operation: FaultOperation, grows: number): Promise<void> {
    return this.#plan.enter(operation, this.#path, grows);
  }

  async #growth(end: number): Promise<number> {
    return this.#plan.budgeted ? Math.max(0, end - (await this.#under.size())) : 0;
  }
}
