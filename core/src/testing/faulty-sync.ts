import { fstatSync, ftruncateSync } from 'node:fs';
import type { SyncFileSystem } from '../world.ts';
import { FaultPlan, type SharedFaults } from './fault-plan.ts';

interface Options {
  readonly under: { readonly module: string; readonly options: unknown };
  readonly plan: SharedFaults;
}

interface Opened {
  readonly path: string;
  /** Opened with O_DSYNC. */
  readonly synced: boolean;
}

/** The worker's half of {@link faultyFileSystem}. */
export async function createSyncFileSystem(options: Options): Promise<SyncFileSystem> {
  const module: { createSyncFileSystem(options: unknown): SyncFileSystem | Promise<SyncFileSystem> } = await import(
    options.under.module
  );
  const under = await module.createSyncFileSystem(options.under.options);
  const plan = new FaultPlan(options.plan);
  const files = new Map<number, Opened>();
  const of = (fd: number): Opened => files.get(fd) ?? { path: '', synced: false };

  const write = (fd: number, buffers: readonly Uint8Array[], position: number): void => {
    const { path, synced } = of(fd);
    if (plan.remembers && !synced) {
      const before = new Uint8Array(bytesOf(buffers));
      const count = under.read(fd, before, position);
      plan.unsynced.wrote(path, { position, bytes: before.subarray(0, count), size: fstatSync(fd).size });
    }
    under.writev(fd, buffers, position);
  };

  return {
    open: (path, flags) => {
      const operation = flags.startsWith('w') ? 'create' : 'open';
      const fd = plan.stepSync({ operation, path }, { all: () => under.open(path, flags) });
      files.set(fd, { path, synced: flags.endsWith('ds') });
      return fd;
    },
    read: (fd, into, position) => {
      const all = (): number => under.read(fd, into, position);
      const count = plan.stepSync({ operation: 'read', path: of(fd).path }, { all });
      plan.countWorker(count, 0);
      return count;
    },
    writev: (fd, buffers, position) => {
      const total = bytesOf(buffers);
      const grows = plan.budgeted ? Math.max(0, position + total - fstatSync(fd).size) : 0;
      plan.stepSync(
        { operation: 'write', ...of(fd), grows },
        {
          all: () => write(fd, buffers, position),
          half: () => write(fd, firstBytes(buffers, total >> 1), position),
        },
      );
      plan.countWorker(0, total);
    },
    datasync: (fd) => {
      const { path } = of(fd);
      plan.stepSync(
        { operation: 'sync', path },
        {
          all: () => {
            under.datasync(fd);
            plan.unsynced.take(path);
          },
          forget: () => {
            for (const { position, bytes, size } of plan.unsynced.take(path)) {
              under.writev(fd, [bytes], position);
              ftruncateSync(fd, size);
            }
          },
        },
      );
    },
    close: (fd) => {
      files.delete(fd);
      under.close(fd);
    },
    rename: (from, to) => {
      plan.stepSync({ operation: 'rename', path: to }, { all: () => under.rename(from, to) });
      plan.unsynced.renamed(from, to);
    },
    unlink: (path) => {
      plan.stepSync({ operation: 'unlink', path }, { all: () => under.unlink(path) });
      plan.unsynced.removed(path);
    },
    syncDirectory: (path) =>
      plan.stepSync({ operation: 'syncDirectory', path }, { all: () => under.syncDirectory(path) }),
  };
}

function bytesOf(buffers: readonly Uint8Array[]): number {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  return total;
}

function firstBytes(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  const first: Uint8Array[] = [];
  let left = count;
  for (const buffer of buffers) {
    first.push(buffer.subarray(0, left));
    left -= Math.min(left, buffer.length);
  }
  return first;
}
