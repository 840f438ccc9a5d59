import type { AppendResult } from '../adapter.ts';
import { checkBatch, MAX_OFFSET } from '../batch/check.ts';
import { type BatchHeader, patchOffsetAndEpoch } from '../batch/header.ts';
import { StorageError } from '../errors.ts';

/** One append on its way. Offsets are written in when it is dispatched, and again if it is dispatched again. */
export class AppendEntry {
  readonly batches: readonly Uint8Array[];
  /** As the client sent them; {@link assign} replaces them by ones with offsets. */
  headers: readonly BatchHeader[];
  readonly bytes: number;
  /** Offsets the append takes. */
  readonly count: number;
  readonly signal: AbortSignal | undefined;
  /** Monotonic ms. */
  readonly since: number;
  base = -1;
  /** In the order of the calls: what goes back to the queue keeps its place. */
  order = 0;
  attempts = 0;
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
    const headers: BatchHeader[] = [];
    for (const batch of batches) {
      const header = checkBatch(batch);
      if (header.bytes !== batch.length)
        throw new StorageError('BATCH_INVALID', `${batch.length} bytes are not one batch, it has ${header.bytes}`);
      if (header.recordCount === 0) throw new StorageError('BATCH_INVALID', 'a batch without records');
      if (header.lastOffsetDelta !== header.recordCount - 1)
        throw new StorageError(
          'BATCH_INVALID',
          `${header.recordCount} records but a last offset delta of ${header.lastOffsetDelta}`,
        );
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
    const patched: BatchHeader[] = [];
    for (let i = 0; i < this.batches.length; i++) {
      const header = this.headers[i];
      const batch = this.batches[i];
      if (header === undefined || batch === undefined) continue;
      patchOffsetAndEpoch(batch, at, epoch);
      patched.push({ ...header, baseOffset: at, leaderEpoch: epoch });
      at += header.lastOffsetDelta + 1;
    }
    this.headers = patched;
    this.base = base;
  }
}
