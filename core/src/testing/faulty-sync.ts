import { fstatSync } from 'node:fs';
import type { SyncFileSystem } from '../world.ts';
import { FaultPlan, type SharedFaults } from './fault-plan.ts';

interface Options {
  readonly under: { readonly module: string; readonly options: unknown };
  readonly plan: SharedFaults;
}

/** The worker's half of {@link faultyFileSystem}. */
export async function createSyncFileSystem(options: Options): Promise<SyncFileSystem> {
  const module: { createSyncFileSystem(options: unknown): SyncFileSystem | Promise<SyncFileSystem> } = await import(
    options.under.module
  );
  const under = await module.createSyncFileSystem(options.under.options);
  const plan = new FaultPlan(options.plan);
  const paths = new Map<number, string>();
  const pathOf = (fd: number): string => paths.get(fd) ?? '';
  return {
    open: (path, flags) => {
      plan.enterSync(flags.startsWith('w') ? 'create' : 'open', path);
      const fd = under.open(path, flags);
      paths.set(fd, path);
      return fd;
    },
    read: (fd, into, position) => {
      plan.enterSync('read', pathOf(fd));
      const count = under.read(fd, into, position);
      plan.countWorker(count, 0);
      return count;
    },
    writev: (fd, buffers, position) => {
      let total = 0;
      for (const buffer of buffers) total += buffer.length;
      plan.enterSync('write', pathOf(fd), plan.budgeted ? Math.max(0, position + total - fstatSync(fd).size) : 0);
      under.writev(fd, buffers, position);
      plan.countWorker(0, total);
    },
    datasync: (fd) => {
      plan.enterSync('sync', pathOf(fd));
      under.datasync(fd);
    },
    close: (fd) => {
      paths.delete(fd);
      under.close(fd);
    },
    rename: (from, to) => {
      plan.enterSync('rename', to);
      under.rename(from, to);
    },
    unlink: (path) => {
      plan.enterSync('unlink', path);
      under.unlink(path);
    },
    syncDirectory: (path) => {
      plan.enterSync('syncDirectory', path);
      under.syncDirectory(path);
    },
  };
}
