import { type BatchHeader, isControl, isTransactional } from '../batch/header.ts';
import { RecordCursor } from '../batch/records-cursor.ts';
import { isStorageError } from '../errors.ts';

/** Batches that compaction keeps whole and takes no key from: control batches and those of transactions. */
export function standsAside(header: BatchHeader): boolean {
  return isControl(header) || isTransactional(header);
}

/** A cursor before the first record of a batch that can be read to its end; undefined when it can't. */
export async function readable(chunk: Uint8Array, at: number, maxBytes: number): Promise<RecordCursor | undefined> {
  try {
    const probe = await RecordCursor.open(chunk, at, maxBytes);
    while (probe.next());
    probe.rewind();
    return probe;
  } catch (error) {
    if (isStorageError(error, 'BATCH_INVALID')) return undefined;
    throw error;
  }
}
