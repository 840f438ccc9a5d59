import * as fs from 'node:fs';
import type { SyncFileSystem } from '../world.ts';

/** The real file system for a worker thread: every call blocks until the kernel has answered. */
export function createSyncFileSystem(_options?: unknown): SyncFileSystem {
  return {
    open: (path, flags) => fs.openSync(path, FLAGS[flags], 0o644),
    read: (fd, into, position) => {
      let done = 0;
      while (done < into.length) {
        const count = fs.readSync(fd, into, done, into.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    },
    writev: (fd, buffers, position) => {
      let total = 0;
      for (const buffer of buffers) total += buffer.length;
      const written = fs.writevSync(fd, buffers, position);
      if (written < total) writeRest(fd, buffers, position, written);
    },
    datasync: (fd) => fs.fdatasyncSync(fd),
    close: (fd) => fs.closeSync(fd),
    rename: (from, to) => fs.renameSync(from, to),
    unlink: (path) => fs.unlinkSync(path),
    syncDirectory: (path) => {
      const fd = fs.openSync(path, 'r');
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    },
  };
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_DSYNC } = fs.constants;

const FLAGS: Readonly<Record<Parameters<SyncFileSystem['open']>[1], number>> = {
  r: O_RDONLY,
  'r+': O_RDWR,
  'wx+': O_RDWR | O_CREAT | O_EXCL,
  'r+ds': O_RDWR | O_DSYNC,
  'wx+ds': O_RDWR | O_CREAT | O_EXCL | O_DSYNC,
};

/** A short write is rare (a signal, the end of the medium); the next call goes on or says why not. */
function writeRest(fd: number, buffers: readonly Uint8Array[], position: number, skip: number): void {
  let at = 0;
  for (const buffer of buffers) {
    let done = Math.min(buffer.length, Math.max(0, skip - at));
    while (done < buffer.length) done += fs.writeSync(fd, buffer, done, buffer.length - done, position + at + done);
    at += buffer.length;
  }
}
