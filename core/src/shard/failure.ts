import { isStorageError, StorageError } from '../errors.ts';

/** Whatever was thrown, as an error of the storage layer. */
export function asStorageError(error: unknown, where: string): StorageError {
  if (isStorageError(error)) return error;
  return new StorageError('WRITER_FAILED', error instanceof Error ? error.message : String(error), {
    where,
    cause: error,
  });
}

/** Trying again would give the same. */
export function isForAPerson(error: StorageError): boolean {
  return isStorageError(error, 'CORRUPT', 'SEGMENT_LOST', 'SEGMENT_UNKNOWN', 'FORMAT_TOO_NEW');
}
