/** What may be handed to an engine: each check throws INVALID_ARGUMENT (or the code it names) and lets nothing else through. */
import { checkShape, MAX_OFFSET } from '../batch/check.ts';
import { BATCH_HEADER_BYTES, BATCH_LOG_OVERHEAD, BATCH_MAGIC, CODECS } from '../batch/header.ts';
import { MAX_STATE_BYTES } from '../engine.ts';
import { StorageError } from '../errors.ts';
import { int32At, int64At } from './fields.ts';

/** Page size of `list`. */
export const MAX_LIST = 10_000;

const SEGMENT_ID = /^[a-z0-9._-]{1,128}$/;

export function checkSegmentId(id: unknown): asserts id is string {
  // `.` and `..` match the pattern, and are no file names
  if (typeof id !== 'string' || !SEGMENT_ID.test(id) || id === '.' || id === '..')
    throw invalid(
      `${JSON.stringify(id)} is not a segment id`,
      'Use 1 to 128 of the characters a-z, 0-9, `.`, `_` and `-`, not `.` or `..`',
    );
}

export function checkPrefix(prefix: unknown): asserts prefix is string {
  if (typeof prefix !== 'string' || (prefix !== '' && !SEGMENT_ID.test(prefix)))
    throw invalid(`${JSON.stringify(prefix)} is not the beginning of a segment id`);
}

export function checkOffset(offset: unknown, what: string): asserts offset is number {
  if (!Number.isSafeInteger(offset) || (offset as number) < 0 || (offset as number) > MAX_OFFSET)
    throw invalid(`${what} is ${String(offset)}, not an offset`, `Offsets are whole numbers from 0 to ${MAX_OFFSET}`);
}

export function checkEpoch(epoch: unknown): asserts epoch is number {
  // a batch has 31 bits for it
  if (!Number.isInteger(epoch) || (epoch as number) < 0 || (epoch as number) > 0x7fffffff)
    throw invalid(`${String(epoch)} is not an epoch`, 'Epochs are whole numbers from 0 to 2147483647');
}

export function checkState(state: unknown): asserts state is Uint8Array {
  if (!(state instanceof Uint8Array)) throw invalid('The state of a segment is bytes');
  if (state.length > MAX_STATE_BYTES)
    throw invalid(`The state has ${state.length} bytes, the limit is ${MAX_STATE_BYTES}`);
}

export function checkCount(value: unknown, what: string, most: number): asserts value is number {
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > most)
    throw invalid(`${what} is ${String(value)}, not a whole number from 1 to ${most}`);
}

/**
 * One batch of an append: whole, dense, at `base`, of a size the engine takes. Allocates nothing when all is well.
 * @returns one past its last offset. @throws BATCH_INVALID, BATCH_TOO_LARGE
 */
export function checkAppendedBatch(batch: Uint8Array, base: number, maxBatchBytes: number): number {
  if (!(batch instanceof Uint8Array)) throw invalid('A batch is bytes');
  if (batch.length > maxBatchBytes)
    throw new StorageError(
      'BATCH_TOO_LARGE',
      `A batch of ${batch.length} bytes, the engine takes at most ${maxBatchBytes}`,
    );
  if (
    batch.length < BATCH_HEADER_BYTES ||
    batch[16] !== BATCH_MAGIC ||
    int32At(batch, 8) + BATCH_LOG_OVERHEAD !== batch.length ||
    ((batch[22] ?? 0) & 7) >= CODECS.length ||
    !Number.isSafeInteger(int64At(batch, 27)) ||
    !Number.isSafeInteger(int64At(batch, 35)) ||
    !Number.isSafeInteger(int64At(batch, 43))
  ) {
    const header = checkShape(batch);
    throw new StorageError(
      'BATCH_INVALID',
      `${batch.length} bytes hold a batch of ${header.bytes}; one each is wanted`,
    );
  }
  const lastOffsetDelta = int32At(batch, 23);
  if (lastOffsetDelta < 0 || int32At(batch, 57) !== lastOffsetDelta + 1)
    throw new StorageError(
      'BATCH_INVALID',
      `${int32At(batch, 57)} records but a last offset delta of ${lastOffsetDelta}: appended batches are dense`,
    );
  const found = int64At(batch, 0);
  if (found !== base)
    throw new StorageError('BATCH_INVALID', `A batch says offset ${found} where ${base} is next: offsets are dense`);
  return base + lastOffsetDelta + 1;
}

export function invalid(message: string, hint?: string): StorageError {
  return new StorageError('INVALID_ARGUMENT', message, hint === undefined ? {} : { hint });
}
