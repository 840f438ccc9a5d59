import { join, resolve } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { StorageError } from '../errors.ts';
import { isDiskFull } from './disk-full.ts';

/**
 * Takes `dir` (which exists) for this process until `release` or the end of the process, kill -9 included. Node has no flock: a small
 * level database in the directory holds an fcntl lock, which the kernel drops with the process.
 * @throws DIRECTORY_LOCKED, DISK_FULL
 */
export async function lockDirectory(dir: string): Promise<{ release(): Promise<void> }> {
  const path = join(resolve(dir), 'LOCK.level');
  const level = new ClassicLevel(path, { writeBufferSize: 64 * 1024, cacheSize: 64 * 1024 });
  try {
    await level.open();
  } catch (error) {
    await level.close().catch(() => {});
    if (isDiskFull(error))
      throw new StorageError('DISK_FULL', 'there is no room left for the lock of this directory', {
        where: dir,
        hint: 'Free space on its disk, then start again',
        cause: error,
      });
    if (!isLocked(error)) throw error;
    throw new StorageError('DIRECTORY_LOCKED', 'another process, or another instance in this one, has this directory', {
      where: dir,
      hint: 'Stop the other one, or give each its own data directory',
      cause: error,
    });
  }
  return { release: () => level.close() };
}

function isLocked(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if ((at as { code?: unknown }).code === 'LEVEL_LOCKED') return true;
  return false;
}
