import { crc32c } from '@node-rs/crc32';
import { checkShape } from '../batch/check.ts';
import { BATCH_HEADER_BYTES, CRC_FROM } from '../batch/header.ts';
import { isStorageError, StorageError } from '../errors.ts';
import { int32At, int64At, uint32At } from './fields.ts';

export interface ReadClaim {
  readonly segment: string;
  readonly base: number;
  readonly from: number;
  readonly committed: number;
  /** True when offsets can't have holes: the segment was appended to. Unknown counts as false. */
  readonly dense: boolean;
}

export interface ReadVerdict {
  /** One past the last offset; `undefined` without a batch. */
  readonly next: number | undefined;
  /** How many of the bytes are good: less than all in front of a batch whose CRC is wrong. */
  readonly bytes: number;
}

/**
 * Checks what an engine read before anyone sees it: whole batches with their CRC intact, offsets that go up, the first one covering
 * `from`, nothing at or past `committed`. What lies before a wrong CRC is good: the next read begins there, and says what is wrong.
 * @throws CORRUPT, with the segment and the position
 */
export function verifyRead(bytes: Uint8Array, claim: ReadClaim): ReadVerdict {
  let next: number | undefined;
  let at = 0;
  while (at < bytes.length) {
    const size = batchSize(bytes, at, claim, next);
    if (size === undefined) break;
    const base = int64At(bytes, at);
    const end = base + int32At(bytes, at + 23) + 1;
    if (!Number.isSafeInteger(base) || base < claim.base || end > claim.committed)
      throw corrupt(
        `a batch of offsets ${base} to ${end} outside of ${claim.base} to ${claim.committed}`,
        claim,
        at,
        next,
      );
    if (next === undefined ? end <= claim.from : base < next)
      throw corrupt(`a batch of offsets ${base} to ${end} where ${next ?? claim.from} is wanted`, claim, at, next);
    if (claim.dense && (next === undefined ? base > claim.from : base !== next))
      throw corrupt(`a batch of offset ${base} where ${next ?? claim.from} was appended`, claim, at, next);
    next = end;
    at += size;
  }
  return { next, bytes: at };
}

/** Undefined for a wrong CRC behind good batches. */
function batchSize(bytes: Uint8Array, at: number, claim: ReadClaim, next: number | undefined): number | undefined {
  let size: number;
  try {
    size = bytes.length - at < BATCH_HEADER_BYTES ? 0 : checkShape(bytes, at).bytes;
  } catch (error) {
    throw corrupt(isStorageError(error) ? error.message : 'no batch', claim, at, next, error);
  }
  if (size === 0) throw corrupt(`${bytes.length - at} bytes that are no whole batch`, claim, at, next);
  const stored = uint32At(bytes, at + 17);
  const actual = crc32c(bytes.subarray(at + CRC_FROM, at + size)) >>> 0;
  if (actual !== stored && next !== undefined) return undefined;
  if (actual !== stored)
    throw corrupt(`CRC is 0x${actual.toString(16)}, the batch says 0x${stored.toString(16)}`, claim, at, next);
  return size;
}

function corrupt(what: string, claim: ReadClaim, at: number, next: number | undefined, cause?: unknown): StorageError {
  return new StorageError('CORRUPT', `Stored data is damaged: ${what}`, {
    where: `segment ${claim.segment}, offset ${next ?? claim.from}, byte ${at} of a read from ${claim.from}`,
    hint: 'Restore the segment from a copy, or give the damaged range up with `topic recover --accept-loss`',
    cause,
  });
}
