import { StorageError } from '../errors.ts';

export interface Appended {
  readonly next: number;
}

/** One append between its call and its settlement. */
export class Inflight {
  /** What the caller waits for. */
  readonly promise: Promise<Appended>;
  /** What the engine gave. */
  readonly inner: Promise<Appended>;
  /** What came of it, once it has: `failure` is anything that was thrown. */
  landed: { readonly appended: Appended } | { readonly failure: unknown } | undefined;
  readonly base: number;
  readonly next: number;
  readonly bytes: number;
  readonly startedMs: number;
  readonly #resolve: (appended: Appended) => void;
  readonly #reject: (error: StorageError) => void;
  #unlisten: (() => void) | undefined;
  #leavers: (() => void)[] | undefined;

  constructor(inner: Promise<Appended>, base: number, next: number, bytes: number, startedMs: number) {
    this.promise = new Promise<Appended>(takeHandles);
    this.#resolve = resolveTaken;
    this.#reject = rejectTaken;
    this.inner = inner;
    this.base = base;
    this.next = next;
    this.bytes = bytes;
    this.startedMs = startedMs;
  }

  succeed(appended: Appended): void {
    this.#unlisten?.();
    this.#resolve(appended);
  }

  fail(error: StorageError): void {
    this.#unlisten?.();
    this.#reject(error);
  }

  /** Calls `wake` when the writer is done with it: an abort ends the caller's wait earlier. */
  onLeave(wake: () => void): void {
    this.#leavers ??= [];
    this.#leavers.push(wake);
  }

  /** Settled in its turn, and out of the queue. */
  leave(): void {
    if (this.#leavers === undefined) return;
    for (const wake of this.#leavers) wake();
    this.#leavers = undefined;
  }

  /** From now on an abort ends the wait. The append goes on, and keeps its place in the order. */
  stopWaitingOn(signal: AbortSignal, where: string): void {
    const abort = (): void =>
      this.fail(new StorageError('ABORTED', 'The caller no longer waits', { where, outcome: 'unknown' }));
    signal.addEventListener('abort', abort, { once: true });
    this.#unlisten = () => signal.removeEventListener('abort', abort);
  }
}

// A promise hands its two functions to its executor and nowhere else: this one is shared, so that an append has no closure of its own.
let resolveTaken: (appended: Appended) => void;
let rejectTaken: (error: StorageError) => void;

function takeHandles(resolve: (appended: Appended) => void, reject: (error: StorageError) => void): void {
  resolveTaken = resolve;
  rejectTaken = reject;
}
