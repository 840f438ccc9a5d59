import type { FileHandle, FileSystem } from '../world.ts';
import type { FaultOperation } from './fault-operations.ts';
import type { FaultPlan, StepRun } from './fault-plan.ts';

/**
 * A file system that does what `plan` says before it does what it was asked: errors, stalls, a byte budget, counts. Its worker half
 * reads the same plan, which lives in shared memory, so a test can change it while the worker runs.
 */
export function faultyFileSystem(under: FileSystem, plan: FaultPlan): FileSystem {
  return {
    open: (path, flags) => {
      const operation = flags === 'r' || flags === 'r+' ? 'open' : 'create';
      const all = async (): Promise<FileHandle> => new FaultyFile(await under.open(path, flags), path, plan);
      return plan.step({ operation, path }, { all });
    },
    rename: async (from, to) => {
      await plan.step({ operation: 'rename', path: to }, { all: () => under.rename(from, to) });
      plan.unsynced.renamed(from, to);
    },
    unlink: async (path) => {
      await plan.step({ operation: 'unlink', path }, { all: () => under.unlink(path) });
      plan.unsynced.removed(path);
    },
    readdir: (path) => plan.step({ operation: 'readdir', path }, { all: () => under.readdir(path) }),
    mkdir: (path) => plan.step({ operation: 'mkdir', path }, { all: () => under.mkdir(path) }),
    syncDirectory: (path) => plan.step({ operation: 'syncDirectory', path }, { all: () => under.syncDirectory(path) }),
    freeBytes: async (path) => {
      plan.look('freeBytes', path);
      return plan.freeBytes(await under.freeBytes(path));
    },
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
    const count = await this.#step('read', { all: () => this.#under.read(into, intoOffset, length, position) });
    this.#plan.countRead(this.#path, count);
    return count;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await this.#step(
      'write',
      {
        all: () => this.#write(bytes, position),
        half: () => this.#write(bytes.subarray(0, bytes.length >> 1), position),
      },
      await this.#growth(position + bytes.length),
    );
    this.#plan.countWritten(this.#path, bytes.length);
  }

  datasync(): Promise<void> {
    return this.#step('sync', {
      all: async () => {
        await this.#under.datasync();
        this.#plan.unsynced.take(this.#path);
      },
      forget: async () => {
        for (const { position, bytes, size } of this.#plan.unsynced.take(this.#path)) {
          await this.#under.write(bytes, position);
          await this.#under.truncate(size);
        }
      },
    });
  }

  async truncate(length: number): Promise<void> {
    const grows = await this.#growth(length);
    await this.#step('truncate', { all: () => this.#under.truncate(length) }, grows);
  }

  size(): Promise<number> {
    return this.#step('size', { all: () => this.#under.size() });
  }

  close(): Promise<void> {
    return this.#under.close();
  }

  #step<T>(operation: FaultOperation, run: StepRun<Promise<T>, Promise<void>>, grows = 0): Promise<T> {
    return this.#plan.step({ operation, path: this.#path, grows }, run);
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    if (this.#plan.remembers) {
      const before = new Uint8Array(bytes.length);
      const count = await this.#under.read(before, 0, before.length, position);
      const size = await this.#under.size();
      this.#plan.unsynced.wrote(this.#path, { position, bytes: before.subarray(0, count), size });
    }
    await this.#under.write(bytes, position);
  }

  async #growth(end: number): Promise<number> {
    return this.#plan.budgeted ? Math.max(0, end - (await this.#under.size())) : 0;
  }
}
