import { isStorageError } from '@robustmq/core';
import type { Pieces } from '../read/pieces.ts';

/** What is wrong with bytes may have happened on the way, or in memory: they are fetched once more before they are called damaged, and never kept. */
export async function fetchedTwice<T>(pieces: Pieces, key: string, fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (error) {
    if (!isStorageError(error, 'CORRUPT')) throw error;
    pieces.drop(key);
  }
  try {
    return await fetch();
  } catch (error) {
    if (isStorageError(error, 'CORRUPT')) pieces.drop(key);
    throw error;
  }
}
