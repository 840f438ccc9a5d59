import type { AppendResult } from '../adapter.ts';
import { checkBatch, MAX_OFFSET } from '../batch/check.ts';
import { MAX_DECOMPRESSED_BYTES } from '../batch/codec/codec.ts';
import { BATCH_HEADER_BYTES, type BatchHeader, codecOf, patchOffsetAndEpoch } from '../batch/header.ts';
import { StorageError } from '../errors.ts';

/** The smallest record: a length, attributes, two deltas, two lengths of -1 and a count of headers, a byte each. */
const MIN_RECORD_BYTES = 7;
/** What several batches in one append may have together; every engine takes that much (its `maxBatchBytes` is at least half of it). */
const MAX_APPEND_BYTES = 2 * 1024 * 1024;

/** A header whose batch is ours to write into. */
type OwnHeader = { -readonly [Field in keyof BatchHeader]: BatchHeader[Field] };

/** One append on its way. Offsets are written in when it is dispatched, and again if it is dispatched again. */
export class AppendEntry {
  readonly batches: readonly Uint8Array[];
  /** As the client sent them; {@link assign} writes the offsets in. */
  readonly headers: readonly OwnHeader[];
  readonly bytes: number;
  /** Offsets the append takes. */
  readonly count: number;
  readonly signal: AbortSignal | undefined;
  /** Monotonic ms. */
  readonly since: number;
  onAbort: (() => void) | undefined;
  base = -1;
  /** In the order of the calls: what goes back to the queue keeps its place. */
  order = 0;
  attempts = 0;
  /** On its way to the writer. */
  launched = false;
  /** The caller was told that it may have been applied: it is not dispatched again. */
  abandoned = false;
  readonly result: Promise<AppendResult>;
  resolve: (result: AppendResult) => void = () => {};
  reject: (error: unknown) => void = () => {};

  /** @throws BATCH_INVALID, BATCH_TOO_LARGE, INVALID_ARGUMENT */
  constructor(batches: readonly Uint8Array[], maxBatchBytes: number, signal: AbortSignal | undefined, since: number) {
    if (batches.length === 0) throw new StorageError('INVALID_ARGUMENT', 'an append of no batches');
    let bytes = 0;
    let count = 0;
    const headers: OwnHeader[] = [];
    for (const batch of batches) {
      const header: OwnHeader = checkBatch(batch);
      checkCount(header);
      if (header.bytes !== batch.length)
        throw new StorageError('BATCH_INVALID', `${batch.length} bytes are not one batch, it has ${header.bytes}`);
      if (header.bytes > maxBatchBytes)
        throw new StorageError('BATCH_TOO_LARGE', `a batch of ${header.bytes} bytes, the limit is ${maxBatchBytes}`);
      if (header.producerId >= 0 && batches.length > 1)
        throw new StorageError('BATCH_INVALID', 'an idempotent producer appends one batch at a time');
      if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0))
        throw new StorageError('BATCH_INVALID', 'a producer id without a sequence');
      bytes += header.bytes;
      count += header.lastOffsetDelta + 1;
      headers.push(header);
    }
    if (batches.length > 1 && bytes > Math.max(MAX_APPEND_BYTES, maxBatchBytes))
      throw new StorageError('BATCH_TOO_LARGE', `${batches.length} batches of ${bytes} bytes in one append`, {
        hint: 'Append them one by one',
      });
    this.batches = batches;
    this.headers = headers;
    this.bytes = bytes;
    this.count = count;
    this.signal = signal;
    this.since = since;
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  get next(): number {
    return this.base + this.count;
  }

  /** @throws INVALID_ARGUMENT when the offsets of this universe are used up */
  assign(base: number, epoch: number): void {
    if (base + this.count > MAX_OFFSET) throw new StorageError('INVALID_ARGUMENT', `offset ${base} is out of bounds`);
    let at = base;
    for (let i = 0; i < this.batches.length; i++) {
      const header = this.headers[i];
      const batch = this.batches[i];
      if (header === undefined || batch === undefined) continue;
      patchOffsetAndEpoch(batch, at, epoch);
      header.baseOffset = at;
      header.leaderEpoch = epoch;
      at += header.lastOffsetDelta + 1;
    }
    this.base = base;
  }
}

/** A batch takes as many offsets as it says it has records: a few bytes must not use up millions. @throws BATCH_INVALID */
function checkCount(header: BatchHeader): void {
  const { recordCount, lastOffsetDelta } = header;
  if (recordCount === 0) throw new StorageError('BATCH_INVALID', 'a batch without records');
  if (lastOffsetDelta !== recordCount - 1)
    throw new StorageError('BATCH_INVALID', `${recordCount} records but a last offset delta of ${lastOffsetDelta}`);
  const bytes = codecOf(header) === 'none' ? header.bytes - BATCH_HEADER_BYTES : MAX_DECOMPRESSED_BYTES;
  if (recordCount * MIN_RECORD_BYTES > bytes)
    throw new StorageError('BATCH_INVALID', `${recordCount} records can't be in a batch of ${header.bytes} bytes`);
}
