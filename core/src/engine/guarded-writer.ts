import type { SegmentOffsets, SegmentRead, SegmentState, SegmentWriter } from '../engine.ts';
import { type StorageCode, StorageError } from '../errors.ts';
import { checkAppendedBatch, checkOffset, invalid } from './arguments.ts';
import type { GuardContext } from './guard-context.ts';
import { GuardedReader } from './guarded-reader.ts';
import { type Appended, Inflight } from './inflight.ts';
import { InflightQueue } from './inflight-queue.ts';

/** How long appends behind a failed one may take to let go of their bytes before they are given up. */
const FAIL_GRACE_MS = 1000;

/** Refusals after which a writer goes on as if the append had not been asked for. */
const REFUSALS: ReadonlySet<StorageCode> = new Set<StorageCode>([
  'OFFSET_MISMATCH',
  'BACKPRESSURE',
  'DISK_FULL',
  'SEGMENT_MUST_ROLL',
  'ABORTED',
  'BATCH_INVALID',
  'BATCH_TOO_LARGE',
  'INVALID_ARGUMENT',
]);

/** A wait for credit that ends for these reasons says nothing bad about the writer. */
const ENDINGS: ReadonlySet<StorageCode> = new Set<StorageCode>(['SEGMENT_SEALED', 'CLOSED', 'ABORTED']);

/**
 * The writing side of a segment. Appends are dispatched as they are called and settled in the order of their calls, whatever order the
 * engine settles in: one promise each, nothing else that an append alone would pay for.
 */
export class GuardedWriter implements SegmentWriter {
  readonly #inner: SegmentWriter;
  readonly #context: GuardContext;
  readonly #id: string;
  readonly #reader: GuardedReader;
  readonly #onClose: (writer: GuardedWriter) => void;
  #state: 'open' | 'sealing' | 'closed' = 'open';
  #failure: StorageError | undefined;
  /** The end of what was dispatched. */
  #end: number;
  readonly #queue: InflightQueue = new InflightQueue();
  /** One has failed for good: those behind it wait for the engine to let go of their bytes. */
  #failing = false;
  /** Appends up to this one were dispatched behind one that was refused: the engine must refuse them too. */
  #doomedUntil: Inflight | undefined;
  #control: Promise<unknown> = Promise.resolve();
  #seal: Promise<{ readonly end: number }> | undefined;
  #closing: Promise<void> | undefined;
  #left = false;
  #noCredit: { readonly bytes: number } | undefined;

  constructor(
    inner: SegmentWriter,
    context: GuardContext,
    id: string,
    base: number,
    onClose: (writer: GuardedWriter) => void,
  ) {
    this.#inner = inner;
    this.#context = context;
    this.#id = id;
    this.#end = base;
    this.#onClose = onClose;
    this.#reader = new GuardedReader(inner, context, id, true);
    context.openWriters++;
  }

  append(
    batches: readonly Uint8Array[],
    options: { readonly base: number; readonly signal?: AbortSignal },
  ): Promise<Appended> {
    const { base, signal } = options;
    let next = base;
    let bytes = 0;
    try {
      if (!this.#mayGoOn()) throw this.#refusal();
      if (signal?.aborted === true) throw this.#error('ABORTED', 'The append was given up before it began');
      checkOffset(base, 'base');
      if (!Array.isArray(batches) || batches.length === 0) throw invalid('An append without batches');
      if (base !== this.#end) throw this.#mismatch(base);
      for (const batch of batches) {
        next = checkAppendedBatch(batch, next, this.#context.maxBatchBytes);
        bytes += batch.length;
      }
      checkOffset(next, 'next');
      if (bytes > this.#context.maxAppendBytes)
        throw this.#error(
          'BATCH_TOO_LARGE',
          `One append of ${bytes} bytes, the limit is ${this.#context.maxAppendBytes}`,
        );
      if (!this.#hasCredit(bytes)) return this.#refuseForCredit(bytes);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#dispatch(batches, options, next, bytes);
  }

  ready(bytes: number): Promise<void> | undefined {
    if (!this.#mayGoOn()) return Promise.reject(this.#refusal());
    if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > this.#context.maxAppendBytes)
      return Promise.reject(
        invalid(`ready(${String(bytes)}): an append has 0 to ${this.#context.maxAppendBytes} bytes`),
      );
    let wait: Promise<void> | undefined;
    try {
      wait = this.#inner.ready(bytes);
    } catch (error) {
      wait = Promise.reject(error);
    }
    // there is room: an append of that size need not hear the answer to an older question first
    if (wait === undefined && this.#noCredit !== undefined && bytes >= this.#noCredit.bytes) this.#noCredit = undefined;
    return wait?.then(
      () => {
        this.#noCredit = undefined;
      },
      (error: unknown) => {
        throw this.#failWaiting(error);
      },
    );
  }

  flush(): Promise<void> {
    return this.#oneAtATime(async () => {
      if (this.#state === 'closed' || this.#context.closed) throw this.#refusal();
      if (this.#failure !== undefined) return await this.#settled();
      await this.#wait('flush', () => this.#inner.flush());
      await this.#settled();
    });
  }

  seal(): Promise<{ readonly end: number }> {
    if (this.#seal === undefined) {
      if (!this.#mayGoOn('sealing')) return Promise.reject(this.#refusal());
      this.#state = 'sealing';
      this.#seal = this.#oneAtATime(() => this.#sealOnce());
    }
    return this.#seal;
  }

  offsets(): SegmentOffsets {
    return this.#reader.offsets();
  }

  state(): Promise<SegmentState> {
    return this.#reader.state();
  }

  read(from: number, options: { readonly maxBytes: number; readonly signal?: AbortSignal }): Promise<SegmentRead> {
    return this.#reader.read(from, options);
  }

  offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#reader.offsetForTimestamp(timestamp);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  /** Ends the wait of whatever the engine left unsettled when it was closed. */
  async abandon(): Promise<void> {
    this.#state = 'closed';
    if (this.#queue.first !== undefined) await this.#withinGrace(this.#settled());
    const cause = this.#error('CLOSED', 'Closed before the append settled', 'unknown');
    for (let entry = this.#queue.first; entry !== undefined; entry = this.#queue.first) this.#reject(entry, cause);
    this.#leave();
  }

  #dispatch(
    batches: readonly Uint8Array[],
    options: { readonly base: number; readonly signal?: AbortSignal },
    next: number,
    bytes: number,
  ): Promise<Appended> {
    let inner: Promise<Appended>;
    try {
      // the wait is this wrapper's to stop, so the engine needs no signal
      inner = Promise.resolve(
        this.#inner.append(batches, options.signal === undefined ? options : { base: options.base }),
      );
    } catch (error) {
      inner = Promise.reject(error);
    }
    const entry = new Inflight(inner, options.base, next, bytes, this.#context.clock.monotonic());
    this.#end = next;
    this.#context.inFlightBytes += bytes;
    this.#queue.push(entry);
    if (options.signal !== undefined) entry.stopWaitingOn(options.signal, this.#where());
    inner.then(
      (appended) => {
        entry.landed = { appended };
        this.#settleInOrder(entry);
      },
      (failure: unknown) => {
        entry.landed = { failure };
        this.#settleInOrder(entry);
      },
    );
    return entry.promise;
  }

  /** `arrived` has landed: it is settled, and what has landed behind it, unless something before it is still on its way. */
  #settleInOrder(arrived: Inflight): void {
    if (this.#failing || this.#queue.first !== arrived) return;
    for (let entry = this.#queue.first; entry?.landed !== undefined && !this.#failing; entry = this.#queue.first) {
      try {
        if ('failure' in entry.landed) throw entry.landed.failure;
        const { appended } = entry.landed;
        this.#check(entry, appended);
        this.#takeOut(entry);
        this.#context.appendSeconds.observe((this.#context.clock.monotonic() - entry.startedMs) / 1000);
        this.#context.appendBytes.value += entry.bytes;
        entry.succeed(appended);
        entry.leave();
      } catch (error) {
        this.#fail(entry, this.#dispatched(this.#context.failure(error, 'append', this.#where(), 'WRITER_FAILED')));
      }
    }
  }

  #check(entry: Inflight, appended: Appended): void {
    if (appended?.next !== entry.next)
      throw this.#context.breach(`append up to ${entry.next} says ${appended?.next}`, this.#where(), 'WRITER_FAILED');
    if (this.#doomedUntil !== undefined)
      throw this.#context.breach(`append at ${entry.base} taken behind a refused one`, this.#where(), 'WRITER_FAILED');
  }

  /** Closing tells nothing of an append that the engine had been given: it may be durable by then, or become so at the next start. */
  #dispatched(error: StorageError): StorageError {
    if (error.code !== 'CLOSED' || error.outcome === 'unknown') return error;
    return this.#error('CLOSED', 'Closed before the append settled', 'unknown', error);
  }

  #fail(entry: Inflight, error: StorageError): void {
    const doomed = this.#doomedUntil !== undefined;
    this.#reject(entry, error);
    if (error.outcome === 'none' && REFUSALS.has(error.code)) {
      if (doomed) return;
      // nothing of it was taken, so what was dispatched behind it has no place any more
      this.#end = entry.base;
      this.#doomedUntil = this.#queue.last;
      return;
    }
    this.#failure = error;
    if (this.#queue.first !== undefined) void this.#failBehind(error);
  }

  async #failBehind(error: StorageError): Promise<void> {
    this.#failing = true;
    const behind = this.#queue.all();
    // the engine holds their bytes until it has let go of each
    await this.#withinGrace(Promise.allSettled(behind.map((late) => late.inner)));
    const lost = new StorageError('WRITER_FAILED', 'An append in front of this one failed', {
      where: this.#where(),
      cause: error,
    });
    for (let late = this.#queue.first; late !== undefined; late = this.#queue.first) this.#reject(late, lost);
    this.#failing = false;
  }

  /** `entry` is the first in flight. */
  #reject(entry: Inflight, error: StorageError): void {
    this.#takeOut(entry);
    entry.fail(error);
    entry.leave();
  }

  /** `entry` is the first in flight. */
  #takeOut(entry: Inflight): void {
    this.#queue.shift();
    this.#context.inFlightBytes -= entry.bytes;
    if (entry === this.#doomedUntil) this.#doomedUntil = undefined;
  }

  async #sealOnce(): Promise<{ readonly end: number }> {
    try {
      if (!this.#mayGoOn('sealing')) throw this.#refusal();
      const { end } = await this.#inner.seal();
      await this.#settled();
      if (this.#failure !== undefined) throw this.#refusal();
      if (end !== this.#end) throw this.#context.breach(`sealed at ${end}, appended up to ${this.#end}`, this.#where());
      return { end };
    } catch (error) {
      const typed = this.#context.failure(error, 'seal', this.#where(), 'WRITER_FAILED');
      // refused for now (a full disk): it may be asked again; anything else is for `recover`
      if (typed.outcome === 'none' && typed.retryable) this.#seal = undefined;
      else this.#failure ??= typed;
      throw typed;
    }
  }

  async #closeOnce(): Promise<void> {
    this.#state = 'closed';
    await this.#withinGrace(this.#control);
    try {
      await this.#reader.close();
    } finally {
      await this.abandon();
    }
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#context.openWriters--;
    this.#onClose(this);
  }

  #mayGoOn(also?: 'sealing'): boolean {
    return (this.#state === 'open' || this.#state === also) && this.#failure === undefined && !this.#context.closed;
  }

  #hasCredit(bytes: number): boolean {
    // one waiter stands for all refusals, or a caller who ignores them would pile them up in the engine
    if (this.#noCredit !== undefined && bytes >= this.#noCredit.bytes) return false;
    let wait: Promise<void> | undefined;
    try {
      wait = this.#inner.ready(bytes);
    } catch (error) {
      this.#failWaiting(error);
      return false;
    }
    if (wait === undefined) return true;
    const noCredit = { bytes };
    this.#noCredit = noCredit;
    wait.then(
      () => this.#creditAgain(noCredit),
      (error: unknown) => {
        this.#creditAgain(noCredit);
        this.#failWaiting(error);
      },
    );
    return false;
  }

  #creditAgain(noCredit: object): void {
    if (this.#noCredit === noCredit) this.#noCredit = undefined;
  }

  /** A writer that was fenced has no credit either, and says so by rejecting: that is the better answer. */
  async #refuseForCredit(bytes: number): Promise<never> {
    await null;
    await null;
    if (!this.#mayGoOn()) throw this.#refusal();
    throw this.#error('BACKPRESSURE', `No credit for ${bytes} bytes: wait for ready()`);
  }

  #failWaiting(error: unknown): StorageError {
    const typed = this.#context.failure(error, 'give credit', this.#where(), 'WRITER_FAILED');
    if (!ENDINGS.has(typed.code)) this.#failure ??= typed;
    return typed;
  }

  /** All appends so far: those that are called from now on are not waited for. */
  #settled(): Promise<void> {
    const { last } = this.#queue;
    return last === undefined ? Promise.resolve() : new Promise((resolve) => last.onLeave(resolve));
  }

  async #withinGrace(promise: Promise<unknown>): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#context.clock.timer(FAIL_GRACE_MS, resolve);
      const over = (): void => {
        timer.cancel();
        resolve();
      };
      promise.then(over, over);
    });
  }

  #oneAtATime<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#control.then(run);
    this.#control = turn.catch(ignore);
    return turn;
  }

  async #wait<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw this.#context.failure(error, what, this.#where(), 'WRITER_FAILED');
    }
  }

  #refusal(): StorageError {
    if (this.#state === 'closed' || this.#context.closed) return this.#error('CLOSED', 'The writer is closed');
    const cause = this.#failure;
    if (cause === undefined) return this.#error('SEGMENT_SEALED', 'The segment is sealed');
    return new StorageError(cause.code === 'FENCED' ? 'FENCED' : 'WRITER_FAILED', 'The writer has failed', {
      outcome: 'none',
      where: this.#where(),
      hint: 'Recover the segment and go on in a new one',
      cause,
    });
  }

  #mismatch(base: number): StorageError {
    return new StorageError('OFFSET_MISMATCH', `An append at ${base} where ${this.#end} is next`, {
      where: this.#where(),
      offsets: { start: this.#end, end: this.#end },
    });
  }

  #error(code: StorageCode, message: string, outcome?: 'unknown', cause?: StorageError): StorageError {
    return new StorageError(code, message, {
      where: this.#where(),
      cause,
      ...(outcome === undefined ? {} : { outcome }),
    });
  }

  #where(): string {
    return `segment ${this.#id} of ${this.#context.instance}`;
  }
}

function ignore(): void {}
