import { StorageError } from '@robustmq/core';
import { saysDamage } from './damage.ts';

/** What SQLite says of a damaged file is CORRUPT; of everything else core makes an IO_ERROR. */
export function withStorageErrors<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (saysDamage(error)) throw new StorageError('CORRUPT', String(error), { cause: error });
    throw error;
  }
}
