import type { AppendResult } from '../adapter.ts';
import { StorageError } from '../errors.ts';
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
  #inflight: AppendEntry[] = [];
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

  /** The next to be dispatched; undefined also while refused ones have to go first. */
  get first(): AppendEntry | undefined {
    return this.#refused.length > 0 ? undefined : this.#waiting[0];
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get hasInflight(): boolean {
    return this.#inflight.length > 0;
  }

  get isEmpty(): boolean {
    return this.#waiting.length + this.#inflight.length + this.#refused.length + this.#inDoubt.length === 0;
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
  }

  /** What an idempotent producer's batch is, judged by what is committed and what is in flight. @throws SEQUENCE_GAP, SEQUENCE_DUPLICATE, PRODUCER_FENCED */
  judge(
    entry: AppendEntry,
    committed: Producers,
  ): SequenceVerdict | { readonly kind: 'pending'; readonly entry: AppendEntry } {
    const header = entry.headers[0];
    if (header === undefined || header.producerId < 0) return { kind: 'new' };
    return this.#sequences.check(header, committed);
  }

  /** The first one is on its way now; its offsets are assigned. */
  dispatch(entry: AppendEntry): void {
    this.#waiting.shift();
    this.#inflight.push(entry);
    const header = entry.headers[0];
    if (header !== undefined && header.producerId >= 0) this.#sequences.add(header, entry);
  }

  /** The first one is done without having been dispatched. */
  answerFirst(answer: (entry: AppendEntry) => void): void {
    const entry = this.#waiting.shift();
    if (entry === undefined) return;
    this.#release(entry);
    answer(entry);
  }

  resolve(entry: AppendEntry, result: AppendResult): void {
    this.#land(entry);
    this.#finish(entry);
    entry.resolve(result);
  }

  reject(entry: AppendEntry, error: StorageError): void {
    this.#land(entry);
    this.#finish(entry);
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
    if (this.#refused.length === 0 || this.#inflight.length > 0 || this.#inDoubt.length > 0) return 0;
    const count = this.#refused.length;
    this.#waiting.unshift(...this.#refused);
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
    this.#waiting.unshift(...again);
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

  /** Settlements come in call order, so it is nearly always the oldest. */
  #land(entry: AppendEntry): void {
    if (this.#inflight[0] === entry) {
      this.#inflight.shift();
      return;
    }
    const index = this.#inflight.indexOf(entry);
    if (index >= 0) this.#inflight.splice(index, 1);
  }

  #finish(entry: AppendEntry): void {
    this.#sequences.remove(entry);
    this.#release(entry);
  }

  #release(entry: AppendEntry): void {
    this.#heldBytes -= entry.bytes;
    if (this.#roomWaiters.length === 0 || this.#heldBytes >= this.#windowBytes) return;
    const waiting = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const wake of waiting) wake();
  }
}
