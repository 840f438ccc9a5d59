import type { SyncFileSystem } from '../world.ts';
import { type RecordedCall, RecordedLog, type SharedLog } from './recorded-log.ts';

interface Options {
  readonly under: { readonly module: string; readonly options: unknown };
  readonly log: SharedLog;
}

/** The worker's half of {@link recordedFileSystem}. */
export async function createSyncFileSystem(options: Options): Promise<SyncFileSystem> {
  const module: { createSyncFileSystem(options: unknown): SyncFileSystem | Promise<SyncFileSystem> } = await import(
    options.under.module
  );
  const under = await module.createSyncFileSystem(options.under.options);
  const log = new RecordedLog(options.log);
  const files = new Map<number, { readonly file: number; readonly synced: boolean }>();
  const record = <T>(call: RecordedCall, work: () => T, pieces?: readonly Uint8Array[]): T => {
    const op = log.begin(call, pieces);
    try {
      const result = work();
      log.end(op, false);
      return result;
    } catch (error) {
      log.end(op, true);
      throw error;
    }
  };
  const fileOf = (fd: number): { readonly file: number; readonly synced: boolean } =>
    files.get(fd) ?? { file: -1, synced: false };
  return {
    open: (path, flags) => {
      const op = log.begin({ does: 'open', path, flags });
      try {
        const fd = under.open(path, flags);
        log.end(op, false);
        files.set(fd, { file: op, synced: flags.endsWith('ds') });
        return fd;
      } catch (error) {
        log.end(op, true);
        throw error;
      }
    },
    read: (fd, into, position) => under.read(fd, into, position),
    writev: (fd, buffers, position) => {
      const length = buffers.reduce((sum, { length: bytes }) => sum + bytes, 0);
      const call = { does: 'write', ...fileOf(fd), position, length } as const;
      record(call, () => under.writev(fd, buffers, position), buffers);
    },
    datasync: (fd) => record({ does: 'datasync', file: fileOf(fd).file }, () => under.datasync(fd)),
    close: (fd) => {
      files.delete(fd);
      under.close(fd);
    },
    rename: (from, to) => record({ does: 'rename', from, to }, () => under.rename(from, to)),
    unlink: (path) => record({ does: 'unlink', path }, () => under.unlink(path)),
    syncDirectory: (path) => record({ does: 'syncDirectory', path }, () => under.syncDirectory(path)),
  };
}
