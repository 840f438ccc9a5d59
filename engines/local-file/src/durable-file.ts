import { dirname } from 'node:path';
import { type FileSystem, StorageError } from '@robustmq/core';

/** Replaces a small file as a whole: after a crash it is the old one or the new one. The caller syncs the directory. */
export async function replaceFile(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await fs.open(temporary, 'w+');
  try {
    await file.write(bytes, 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await fs.rename(temporary, path);
}

export async function replaceFileDurably(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  await replaceFile(fs, path, bytes);
  await fs.syncDirectory(dirname(path));
}

/** The first `most` bytes of a file, or `undefined` when there is no such file. */
export async function readFile(
  fs: FileSystem,
  path: string,
  most: number = Number.MAX_SAFE_INTEGER,
): Promise<Buffer | undefined> {
  try {
    const file = await fs.open(path, 'r');
    try {
      const bytes = Buffer.allocUnsafe(Math.min(await file.size(), most));
      return bytes.subarray(0, await file.read(bytes, 0, bytes.length, 0));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Of a file, or `undefined` when there is none. */
export async function sizeOf(fs: FileSystem, path: string): Promise<number | undefined> {
  try {
    const file = await fs.open(path, 'r');
    try {
      return await file.size();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** @returns false when it was gone already */
export async function removeFile(fs: FileSystem, path: string): Promise<boolean> {
  try {
    await fs.unlink(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'ENOENT';
}

/** Any failure of the file system as an error of the storage layer. */
export function ioError(what: string, where: string, cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  const { code } = cause as { code?: unknown };
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new StorageError('DISK_FULL', `${what}: no space left`, {
      where,
      cause,
      hint: 'Free some space on the disk',
    });
  return new StorageError('IO_ERROR', what, { where, cause, retryable: true, hint: 'Check the disk and its mount' });
}
