import type { AppendResult } from '../adapter.ts';
import { isStorageError, StorageError } from '../errors.ts';
import type { Producers, SequenceVerdict } from '../fold/producers.ts';
import type { AppendEntry } from './append-entry.ts';
import { PendingSequences } from './pending-sequences.ts';

/**
 * The appends of one shard that have not settled, each in exactly one place:
 *
 *     waiting -> inflight -> settled
 *        ^          |-> refused: not applied, goes back to the front of `waiting` once all in flight has settled
 *        |          +-> inDoubt: the writer failed; recovery tells whether it was applied
 *        +----------------+
 *
 * Their bytes are one account, which is what backpressure goes by.
 */
export class AppendQueue {
  readonly #windowBytes: number;
  readonly #where: () => string;
  readonly #sequences = new PendingSequences();
  #waiting: AppendEntry[] = [];
  #inflight = 0;
  #refused: AppendEntry[] = [];
  #inDoubt: AppendEntry[] = [];
  #heldBytes = 0;
  #order = 0;
  #roomWaiters: (() => void)[] = [];

  constructor(windowBytes: number, where: () => string) {
    this.#windowBytes = windowBytes;
    this.#where = where;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get hasInflight(): boolean {
    return this.#inflight > 0;
  }

  get isEmpty(): boolean {
    return this.#waiting.length + this.#inflight + this.#refused.length + this.#inDoubt.length === 0;
  }

  get isOverfull(): boolean {
    return this.#heldBytes > 2 * this.#windowBytes;
  }

  /** Undefined while there is room for more, else a promise for when there is again. */
  room(): Promise<void> | undefined {
    if (this.#heldBytes < this.#windowBytes) return undefined;
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  add(entry: AppendEntry): void {
    entry.order = this.#order++;
    this.#waiting.push(entry);
    this.#heldBytes += entry.bytes;
    if (entry.signal === undefined) return;
    entry.onAbort = () => this.#abort(entry);
    entry.signal.addEventListener('abort', entry.onAbort);
  }

  /** How many of those that wait go next as one append of up to `maxBytes`; at least one, if any may go: refused ones go first. */
  next(maxBytes: number): { readonly count: number; readonly bytes: number; readonly offsets: number } {
    let count = 0;
    let bytes = 0;
    let offsets = 0;
    if (this.#refused.length > 0) return { count, bytes, offsets };
    for (const entry of this.#waiting) {
      if (count > 0 && bytes + entry.bytes > maxBytes) break;
      count++;
      bytes += entry.bytes;
      offsets += entry.count;
    }
    return { count, bytes, offsets };
  }

  /** Takes the first ones off the wait: each is launched, resolved or rejected in this turn. */
  take(count: number): AppendEntry[] {
    if (count < this.#waiting.length) return this.#waiting.splice(0, count);
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  /** What an idempotent producer's batch is, judged by what is committed and what is in flight. @throws SEQUENCE_GAP, PRODUCER_FENCED */
  judge(
    entry: AppendEntry,
    committed: Producers,
  ): SequenceVerdict | { readonly kind: 'pending'; readonly entry: AppendEntry } {
    const header = entry.headers[0];
    if (header === undefined || header.producerId < 0) return { kind: 'new' };
    return this.#sequences.check(header, committed);
  }

  /** It is on its way now; its offsets are assigned. */
  launch(entry: AppendEntry): void {
    entry.launched = true;
    this.#inflight++;
    const header = entry.headers[0];
    if (header !== undefined && header.producerId >= 0) this.#sequences.add(header, entry);
  }

  resolve(entry: AppendEntry, result: AppendResult): void {
    this.#land(entry);
    this.#finish(entry);
    entry.resolve(result);
  }

  /** It repeats one that is on its way, and has that one's fate. */
  follow(entry: AppendEntry, first: AppendEntry): void {
    this.#finish(entry);
    first.result.then((result) => entry.resolve({ ...result, duplicate: true }), entry.reject);
  }

  reject(entry: AppendEntry, error: unknown): void {
    this.#land(entry);
    this.#finish(entry);
    if (isStorageError(error) && error.outcome === 'none' && isPassing(error)) this.#sequences.expect(entry);
    entry.reject(error);
  }

  /** It was not applied, and will be dispatched again. */
  refuse(entry: AppendEntry): void {
    this.#land(entry);
    this.#sequences.remove(entry);
    // the first one refused is the cause, those behind it only miss it
    if (this.#refused.length === 0) entry.attempts++;
    this.#refused.push(entry);
  }

  doubt(entry: AppendEntry): void {
    this.#land(entry);
    this.#inDoubt.push(entry);
  }

  /** Puts the refused ones back, as soon as nothing is in flight that they must not overtake. @returns how many */
  requeueRefused(): number {
    if (this.#refused.length === 0 || this.#inflight > 0 || this.#inDoubt.length > 0) return 0;
    const count = this.#refused.length;
    this.#waiting = this.#refused.concat(this.#waiting);
    this.#refused = [];
    return count;
  }

  /** True when `end` lies inside of an append in doubt: appends are atomic, so something is wrong. */
  isCutBy(end: number): boolean {
    return this.#inDoubt.some((entry) => entry.base < end && end < entry.next);
  }

  /** Those in doubt that were applied, when recovery found `end`; the others wait again, in their old order. @returns how many of them */
  resolveDoubts(end: number, applied: (entry: AppendEntry) => void): number {
    const inDoubt = this.#inDoubt;
    this.#inDoubt = [];
    for (const entry of inDoubt) if (entry.next <= end) applied(entry);
    const rest = inDoubt.filter((entry) => entry.next > end);
    for (const entry of rest) this.#sequences.remove(entry);
    for (const entry of rest) if (entry.abandoned) this.#release(entry);
    const again = [...rest.filter((entry) => !entry.abandoned), ...this.#refused].sort((a, b) => a.order - b.order);
    this.#refused = [];
    this.#waiting = again.concat(this.#waiting);
    return again.length;
  }

  /** Ends the wait of those that came before `since`. The ones in doubt stay: recovery still has to find out, only their callers are told. */
  giveUp(since: number, cause: StorageError): void {
    const timeout = (outcome: 'none' | 'unknown') =>
      new StorageError('TIMEOUT', `the storage did not recover in time: ${cause.message}`, {
        where: this.#where(),
        cause,
        outcome,
      });
    for (const entry of this.#inDoubt) {
      if (entry.since >= since || entry.abandoned) continue;
      entry.abandoned = true;
      entry.reject(timeout('unknown'));
    }
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((entry) => entry.since >= since);
    for (const entry of waiting) {
      if (entry.since >= since) continue;
      this.#release(entry);
      this.#sequences.expect(entry);
      entry.reject(timeout('none'));
    }
  }

  /** Fails what was never dispatched, or refused. */
  failWaiting(error: StorageError): void {
    const waiting = [...this.#refused, ...this.#waiting];
    this.#refused = [];
    this.#waiting = [];
    for (const entry of waiting) {
      this.#release(entry);
      this.#sequences.expect(entry);
      entry.reject(error);
    }
  }

  /** Fails all but what is in flight: that settles by itself. */
  failAll(error: StorageError): void {
    this.failWaiting(error);
    const inDoubt = this.#inDoubt;
    this.#inDoubt = [];
    for (const entry of inDoubt) {
      this.#finish(entry);
      entry.reject(
        new StorageError(error.code, error.message, { where: this.#where(), cause: error, outcome: 'unknown' }),
      );
    }
  }

  /** Its caller waits no longer. What is on its way goes on; what only waited never was. */
  #abort(entry: AppendEntry): void {
    if (entry.launched) {
      entry.abandoned = true;
      entry.reject(
        new StorageError('ABORTED', 'aborted after it was dispatched', { where: this.#where(), outcome: 'unknown' }),
      );
      return;
    }
    const index = this.#waiting.indexOf(entry);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    this.#release(entry);
    this.#sequences.expect(entry);
    entry.reject(new StorageError('ABORTED', 'aborted before it was dispatched', { where: this.#where() }));
  }

  #land(entry: AppendEntry): void {
    if (!entry.launched) return;
    entry.launched = false;
    this.#inflight--;
  }

  #finish(entry: AppendEntry): void {
    this.#sequences.remove(entry);
    this.#release(entry);
  }

  #release(entry: AppendEntry): void {
    if (entry.onAbort !== undefined) entry.signal?.removeEventListener('abort', entry.onAbort);
    this.#heldBytes -= entry.bytes;
    if (this.#roomWaiters.length === 0 || this.#heldBytes >= this.#windowBytes) return;
    const waiting = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const wake of waiting) wake();
  }
}

/** The same batch may be accepted later: the producer will send it again. */
function isPassing(error: StorageError): boolean {
  return error.retryable || error.code === 'ABORTED';
}
