/**
 * One shard on the node that owns it: the chain of segments, the one writer, the folds. A small machine of phases:
 *
 *     new -> loading -> idle -> acquiring -> ready <-> rolling
 *                                 ^            |
 *                                 +-- recovering (a writer failed: fence, find the end, go on in a new segment)
 *     any -> stopped
 *
 * Appends wait in a queue and get their offsets when they are dispatched to the writer, in order. What is behind a failure is dispatched
 * again, so a client seldom sees an unknown outcome. Nothing here waits for Meta per append: a row for the next segment is prepared ahead,
 * offsets are reserved in large steps, and that a segment was opened is told to Meta while it is already written.
 */
import type { AppendResult, Topic } from '../adapter.ts';
import type { SegmentWriter } from '../engine.ts';
import { StorageError } from '../errors.ts';
import type { EngineInstance } from '../storage-options.ts';
import { WaitSet } from '../wait/waiter.ts';
import { AppendEntry } from './append-entry.ts';
import { type SegmentRow, tiles } from './chain.ts';
import { ChainRecorder } from './chain-recorder.ts';
import { type ChainChange, ChainStore } from './chain-store.ts';
import { Dispatcher, type DispatchHost } from './dispatcher.ts';
import { instanceOf, pause, type ShardEnvironment } from './environment.ts';
import { asStorageError, isForAPerson } from './failure.ts';
import { mostAge } from './homes.ts';
import { Moves } from './moves.ts';
import { OpenSegment } from './open-segment.ts';
import { sealedRow } from './recovery.ts';
import { needsRecovery, takeOver } from './take-over.ts';

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 5000;
const MAX_OPEN_RETRY_MS = 30_000;

type Phase = 'new' | 'loading' | 'idle' | 'acquiring' | 'ready' | 'rolling' | 'recovering' | 'stopped';

export interface PlannedChange {
  readonly change: ChainChange;
  readonly apply: () => void;
}

export class ShardLog implements DispatchHost {
  topic: Topic;
  readonly index: number;
  readonly environment: ShardEnvironment;
  readonly store: ChainStore;
  readonly recorder: ChainRecorder;
  readonly waiters: WaitSet = new WaitSet();
  /** Why the shard can't be served, if so. */
  unavailable: StorageError | undefined;
  /** What is sealed or lost, in order of base: it tiles the offsets from the oldest segment to the open one. */
  rows: SegmentRow[] = [];
  /** What was replaced or dropped and waits for its end. */
  deleting: SegmentRow[] = [];
  open: OpenSegment | undefined;
  logStart = 0;
  #damage: StorageError | undefined;
  /** Segments of which the log of the node has been told. */
  readonly #toldDamaged = new Set<string>();
  /** The operator has given up what can't be recovered. */
  acceptLoss = false;
  /** Leftovers of copies that an earlier process did not finish are gone. */
  copiesSwept = false;
  /** Sealed segments are being written again: one such job at a time. */
  rewriting = false;
  readonly moves: Moves;

  readonly #dispatcher: Dispatcher;
  #phase: Phase = 'new';
  #loaded: Promise<void> | undefined;
  #epoch = 0;
  #recovering = false;
  /** Writers in a row that failed before they took anything: each is waited for longer. */
  #fruitless = 0;
  /** Of the last writer that failed. */
  #writerFailure: StorageError | undefined;
  /** Monotonic ms before which opening the shard is not tried again. */
  #retryAt = 0;
  #retryDelay = FIRST_RETRY_MS;
  #changeWaiters: (() => void)[] = [];
  #draining = false;
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(environment: ShardEnvironment, topic: Topic, index: number) {
    this.environment = environment;
    this.topic = topic;
    this.index = index;
    this.store = new ChainStore({ ...environment, topicId: topic.id, shard: index });
    this.recorder = new ChainRecorder(environment, this.store, topic.id, index);
    this.#dispatcher = new Dispatcher(this);
    this.moves = new Moves(this);
  }

  get committed(): number {
    return this.#dispatcher.committed;
  }

  get dispatchPhase(): 'ready' | 'busy' | 'stopped' {
    return this.#phase === 'ready' || this.#phase === 'stopped' ? this.#phase : 'busy';
  }

  get epoch(): number {
    return this.#epoch;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get where(): string {
    return `${this.topic.name}/${this.index}`;
  }

  /** Bytes that appends hold here until they settle. */
  get heldBytes(): number {
    return this.#dispatcher.queue.heldBytes;
  }

  /** Resolves when reads can be served: the chain is known, and so is the end of what was committed. */
  opened(): Promise<void> {
    const refusal = this.#loaded === undefined ? this.refusal() : undefined;
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  /** Becomes the owner if it is not yet. @throws what makes the shard unavailable */
  async own(): Promise<void> {
    await this.opened();
    if (this.#phase === 'idle') await this.#acquire();
  }

  /**
   * Opens a shard that a person is needed for, giving up what can't be recovered: it becomes a hole in the log, and its offsets are never
   * used again.
   */
  async acceptLosses(): Promise<void> {
    if (this.#needsPerson()) {
      this.open?.writer.close().catch(() => {}); // it has failed already
      this.open = undefined;
      this.#phase = 'new';
      this.#loaded = undefined;
    }
    this.acceptLoss = true;
    this.#retryAt = 0;
    try {
      await this.own();
    } finally {
      this.acceptLoss = false;
    }
  }

  /** Ends the wait of appends that have waited for too long, whatever for. Called from time to time. */
  giveUpOverdue(): void {
    if (!this.#dispatcher.queue.hasWaiting) return;
    const cause =
      this.unavailable ??
      this.store.trouble ??
      this.#dispatcher.trouble ??
      new StorageError('BACKPRESSURE', 'its turn has not come', { where: this.where });
    this.#giveUpOld(cause);
  }

  /** What is wrong with the shard, for a person. */
  get trouble(): StorageError | undefined {
    if (this.#phase === 'stopped') return undefined;
    return this.unavailable ?? this.store.trouble ?? this.#dispatcher.trouble ?? this.#damage;
  }

  /** A read has found something wrong with sealed data: the shard goes on, a person should know. */
  damaged({ id }: SegmentRow, error: StorageError): void {
    this.#damage = error;
    if (this.#toldDamaged.has(id)) return;
    this.#toldDamaged.add(id);
    this.environment.logger.error({ shard: this.where, segment: id, err: error }, 'a segment can not be read');
  }

  /** It is about to be looked at again. */
  forgetDamage(): void {
    this.#damage = undefined;
    this.#toldDamaged.clear();
  }

  #needsPerson(): boolean {
    return this.#phase === 'recovering' && this.unavailable !== undefined && isForAPerson(this.unavailable);
  }

  /** What a caller is told at once, instead of trying what has just failed again. */
  refusal(): StorageError | undefined {
    if (this.unavailable === undefined || this.#phase === 'stopped') return this.unavailable;
    if (this.#phase === 'recovering') return isForAPerson(this.unavailable) ? this.unavailable : undefined;
    return this.environment.clock.monotonic() < this.#retryAt ? this.unavailable : undefined;
  }

  append(batches: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<AppendResult> {
    try {
      this.#checkAdmission(signal);
      const since = this.environment.clock.monotonic();
      const entry = new AppendEntry(batches, this.topic.settings.maxMessageBytes, signal, since);
      this.#dispatcher.queue.add(entry);
      this.#dispatcher.pumpSoon(entry);
      return entry.result;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  ready(): Promise<void> | undefined {
    return this.#dispatcher.queue.room();
  }

  /** The topic's settings have changed. Resolves when new appends follow them. */
  async retopic(topic: Topic): Promise<void> {
    this.topic = topic;
    if (this.open === undefined || this.open.row.instance === topic.settings.engine) return;
    await this.rollNow();
  }

  /** Seals the open segment, if there is one; the next append opens another. */
  async rollNow(): Promise<void> {
    const open = this.open;
    if (open === undefined) return;
    open.mustRoll = true;
    while (this.open === open && this.#phase !== 'stopped') {
      if (this.#needsPerson()) throw this.unavailable;
      if (this.#phase === 'ready') await this.#roll(false);
      else await this.#changed();
    }
  }

  /** Refuses new appends, settles the ones that wait, seals. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#phase === 'new') return;
    const isBusy = () =>
      !this.#dispatcher.queue.isEmpty || (this.#phase !== 'ready' && this.#phase !== 'idle' && this.#phase !== 'new');
    while (this.#phase !== 'stopped' && !this.#needsPerson() && isBusy()) {
      if (this.#dispatcher.queue.hasWaiting) this.#dispatcher.pump();
      await this.#changed();
    }
    if (this.#phase !== 'ready') return;
    if (this.open !== undefined) await this.#roll(false);
    if (this.phase === 'ready') await this.recorder.close();
  }

  /** Gives up: nothing is sealed, what waits fails with `error`. */
  stop(error: StorageError): void {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopped';
    this.unavailable ??= error;
    this.store.stop();
    this.#dispatcher.queue.failAll(error);
    this.open?.writer.close().catch(() => {}); // the engine settles what is in flight when it is closed
    this.waiters.wake();
    this.#tellChange();
  }

  /**
   * Commits a change of sealed rows; in memory it takes effect once it is durable. `plan` is called when no other such change is on its
   * way, and sees the rows as they are then. @returns false when it had nothing to change
   */
  change(plan: () => PlannedChange | undefined): Promise<boolean> {
    const result = this.#lastChange.then(async () => {
      const planned = plan();
      if (planned === undefined) return false;
      await this.store.commit(planned.change);
      planned.apply();
      this.waiters.wake();
      return true;
    });
    this.#lastChange = result.catch(() => {});
    return result;
  }

  // ---- opening

  async #load(): Promise<void> {
    this.#phase = 'loading';
    try {
      const rows = await this.store.load();
      const { head } = this.store;
      this.logStart = head.logStart;
      this.#epoch = head.epoch;
      this.recorder.loaded(rows, head);
      if (this.phase === 'stopped') throw this.unavailable;
      this.#phase = 'idle';
      if (needsRecovery(this.environment, rows)) await this.#acquire(rows);
      else this.#settleRows(rows);
    } catch (error) {
      if (this.phase !== 'stopped') this.#phase = 'new';
      this.#loaded = undefined;
      this.#failAll(asStorageError(error, this.where));
      throw error;
    }
    this.#dispatcher.pump();
    this.#tellChange();
  }

  /** Takes the rows as the whole chain: nothing in it is unsealed. */
  #settleRows(rows: readonly SegmentRow[]): void {
    this.rows = tiles(rows);
    this.deleting = rows.filter((row) => row.state === 'DELETING');
    this.#dispatcher.startFrom(Math.max(this.logStart, this.rows.at(-1)?.end ?? 0));
  }

  /** Takes a new epoch and seals what an earlier owner, or this one before it failed, left open. */
  async #acquire(found?: readonly SegmentRow[]): Promise<void> {
    this.#phase = 'acquiring';
    try {
      this.#epoch = this.store.head.epoch + 1;
      // the rows as they were found stay in the hands of the caller until they are settled: a failure begins from them again
      const taken = await takeOver(this, found ?? [...this.rows, ...this.deleting], {
        epoch: this.#epoch,
        logStart: this.logStart,
        acceptLoss: this.acceptLoss,
        next: this.#dispatcher.queue.hasWaiting ? this.#target() : undefined,
      });
      this.logStart = taken.logStart;
      this.#settleRows(taken.rows);
      this.#dispatcher.state = taken.state;
      this.unavailable = undefined;
      this.#retryDelay = FIRST_RETRY_MS;
      if (this.phase !== 'stopped') this.#phase = 'ready';
    } catch (error) {
      if (this.phase !== 'stopped') this.#openLater(error);
      throw error;
    }
  }

  #openLater(error: unknown): void {
    this.#phase = 'idle';
    this.unavailable = asStorageError(error, this.where);
    this.#retryAt = this.environment.clock.monotonic() + this.#retryDelay;
    this.#retryDelay = Math.min(2 * this.#retryDelay, MAX_OPEN_RETRY_MS);
    this.environment.logger.error({ shard: this.where, err: error }, 'the shard can not be opened');
  }

  // ---- appending

  /** @throws CLOSED, ABORTED, BACKPRESSURE, or why the shard can't be served */
  #checkAdmission(signal: AbortSignal | undefined): void {
    if (this.#draining && this.#phase !== 'stopped')
      throw new StorageError('CLOSED', 'the node is stopping', { where: this.where });
    if (signal?.aborted) throw new StorageError('ABORTED', 'aborted before it was admitted', { where: this.where });
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
    if (this.#dispatcher.queue.isOverfull)
      throw new StorageError('BACKPRESSURE', 'more is waiting than the shard takes', {
        where: this.where,
        hint: 'Wait for ready() before append()',
      });
  }

  /** The writer will take nothing any more. Its segment is recovered once everything in flight has settled. */
  writerFailed(open: OpenSegment, error: unknown): void {
    if (this.#phase !== 'ready' || this.open !== open) return;
    this.#phase = 'recovering';
    this.#writerFailure = asStorageError(error, this.where);
    const fields = { shard: this.where, segment: open.row.id, err: error };
    this.environment.logger.warn(fields, 'a writer failed, the segment is recovered');
  }

  landed(): boolean {
    if (this.#phase !== 'recovering') return false;
    this.#recoverWriter().catch(() => {}); // it deals with its own failures
    return true;
  }

  settledSome(): void {
    if (this.#changeWaiters.length > 0) this.#tellChange();
  }

  rollOn(): void {
    this.#roll(true).catch(() => {}); // it deals with its own failures
  }

  /** Appends wait, and the phase is none in which they are served: make it so. */
  wakeUp(): void {
    if (this.#phase === 'new') {
      this.opened().catch(() => {}); // the entries were told
    } else if (this.#phase === 'idle') {
      this.#acquire().then(
        () => this.#dispatcher.afterSettlement(),
        (error: unknown) => this.#failAll(asStorageError(error, this.where)),
      );
    } else if (this.#phase === 'stopped') {
      this.#failAll(this.unavailable ?? new StorageError('CLOSED', 'the node is stopping', { where: this.where }));
    }
  }

  // ---- rolling

  mustRoll(open: OpenSegment): boolean {
    const { settings } = this.topic;
    const full = open.dispatchedBytes > 0 && open.dispatchedBytes >= settings.segment.bytes;
    return full || open.mustRoll || open.row.instance !== settings.engine || this.isOld(open);
  }

  isOld(open: OpenSegment): boolean {
    const age = this.environment.clock.monotonic() - open.openedAt;
    return open.dispatchedBytes > 0 && age >= mostAge(this.topic.settings);
  }

  /** Seals the open segment, if there is one, and with `goOn` opens the next. */
  async #roll(goOn: boolean): Promise<void> {
    this.#phase = 'rolling';
    const { open } = this;
    try {
      if (open !== undefined) await this.#sealOpen(open);
      // stopped, or an append failed meanwhile: that path goes on
      if (this.phase === 'rolling' && goOn) await this.#openNext();
      else if (this.phase === 'rolling') await this.recorder.record();
      if (this.phase === 'rolling') this.#phase = 'ready';
    } catch (error) {
      await this.#rollFailed(open, error);
    }
    this.#dispatcher.afterSettlement();
    this.#tellChange();
  }

  async #sealOpen(open: OpenSegment): Promise<void> {
    const { end } = await open.writer.seal();
    if (this.phase !== 'rolling') return;
    if (end !== this.committed)
      throw new StorageError('CORRUPT', `sealed at ${end}, but ${this.committed} was acknowledged`, {
        where: open.row.id,
      });
    // at most two entries of a chain are unsealed: Meta must know of this one before there is a third
    await open.recorded;
    this.open = undefined;
    if (open.stats.batches === 0) {
      this.recorder.spent(open.row);
      await open.writer.close();
      return;
    }
    this.#settleOpen(open, end);
    this.environment.counters.rolls.value++;
    // readers may be in the middle of the writer: the cache closes it behind them
    await this.environment.readers.use(
      open.row.id,
      async () => open.writer,
      async () => {},
    );
  }

  #settleOpen(open: OpenSegment, end: number): void {
    const row = sealedRow(open.row, end, open.stats, this.#dispatcher.state, this.environment.clock.wall());
    this.rows.push(row);
    this.recorder.sealed(row);
  }

  async #openNext(): Promise<void> {
    const instance = this.#target();
    const row = await this.recorder.takePrepared(instance, this.#epoch);
    const writer = await this.#create(instance, row);
    if (this.phase !== 'rolling') {
      // the topic was deleted, or the node stops: whoever comes next looks for no such segment
      await writer.close();
      await this.recorder.deleteUnused(row);
      return;
    }
    this.#dispatcher.startFrom(this.committed);
    const opened: SegmentRow = { ...row, state: 'OPEN', base: this.committed, epoch: this.#epoch };
    const open = new OpenSegment(opened, writer, instance, this.environment.clock.monotonic());
    open.recorded = this.recorder.record({ puts: [opened] });
    open.recorded.catch((error: unknown) => this.lostOwnership(error));
    this.open = open;
  }

  async #create(instance: EngineInstance, row: SegmentRow): Promise<SegmentWriter> {
    try {
      return await instance.engine.create(row.id, {
        base: this.committed,
        epoch: this.#epoch,
        config: this.topic.settings.engineSettings,
        state: this.#dispatcher.state.encode(this.environment.clock.wall()),
      });
    } catch (error) {
      // refused for sure: the row serves the next try. Else the engine may or may not have made it
      if (asStorageError(error, this.where).outcome === 'none') this.recorder.giveBack(row);
      else this.recorder.spent(row);
      throw error;
    }
  }

  async #rollFailed(open: OpenSegment | undefined, error: unknown): Promise<void> {
    if (this.phase === 'stopped') return;
    const failure = asStorageError(error, this.where);
    if (failure.code === 'NOT_OWNER') {
      this.lostOwnership(failure);
      return;
    }
    if (open !== undefined && this.open === open) {
      // sealing failed: what it left is found out by recovery, like any failed writer
      this.#phase = 'recovering';
      return;
    }
    this.environment.logger.warn({ shard: this.where, err: error }, 'no segment could be opened');
    if (failure.outcome === 'none') {
      this.#dispatcher.queue.failWaiting(failure);
    } else {
      this.#giveUpOld(failure);
      await pause(this.environment, FIRST_RETRY_MS * 4);
    }
    if (this.phase === 'rolling') this.#phase = 'ready';
  }

  /** Another owner has the shard, or the topic is gone. */
  lostOwnership(error: unknown): void {
    const failure = asStorageError(error, this.where);
    if (failure.code === 'CLOSED') return;
    this.environment.logger.warn({ shard: this.where, err: error }, 'the shard is no longer ours');
    this.stop(failure);
  }

  /** @throws ENGINE_UNKNOWN */
  #target(): EngineInstance {
    return instanceOf(this.environment, this.topic.settings.engine);
  }

  // ---- recovering from a failed writer

  async #recoverWriter(): Promise<void> {
    const { open } = this;
    if (open === undefined || this.#recovering) return;
    this.#recovering = true;
    try {
      if (this.#fruitless > 0)
        await pause(this.environment, Math.min(FIRST_RETRY_MS * 2 ** this.#fruitless, MAX_RETRY_MS));
      await this.#recoverUntilDone(open);
    } finally {
      this.#recovering = false;
    }
    this.#tellChange();
    // where a person is needed the phase stays as it is, and nothing is tried again before a restart
    if (this.phase !== 'recovering') this.#dispatcher.afterSettlement();
  }

  async #recoverUntilDone(open: OpenSegment): Promise<void> {
    for (let delay = FIRST_RETRY_MS; this.phase === 'recovering'; delay = Math.min(delay * 2, MAX_RETRY_MS)) {
      try {
        await open.recorded;
        const epoch = this.store.head.epoch + 1;
        const head = { epoch, owner: this.environment.nodeId };
        await this.store.commit({ head, puts: [{ ...open.row, state: 'RECOVERING' }] });
        this.#epoch = epoch;
        await this.#finishRecovery(open);
        return;
      } catch (error) {
        if (this.phase !== 'recovering') return;
        const failure = asStorageError(error, this.where);
        if (failure.code === 'NOT_OWNER') {
          this.lostOwnership(failure);
          return;
        }
        const fields = { shard: this.where, segment: open.row.id, err: error };
        this.environment.logger.error(fields, 'a segment can not be recovered yet');
        this.unavailable = failure;
        if (isForAPerson(failure)) {
          this.#failAll(failure);
          return;
        }
        this.#giveUpOld(failure);
        await pause(this.environment, delay);
      }
    }
  }

  async #finishRecovery(open: OpenSegment): Promise<void> {
    const { end } = await open.instance.engine.recover(open.row.id, { epoch: this.#epoch });
    if (end < this.committed || this.#dispatcher.queue.isCutBy(end))
      throw new StorageError(
        'CORRUPT',
        `recovered up to ${end}, but ${this.committed} was acknowledged and appends are atomic`,
        {
          where: open.row.id,
        },
      );
    const again = this.#dispatcher.recovered(end, open);
    this.open = undefined;
    open.writer.close().catch(() => {}); // it has failed already
    this.environment.counters.recoveries.value++;
    this.environment.counters.redispatched.value += again;
    this.#fruitless = open.stats.batches > 0 ? 0 : this.#fruitless + 1;
    if (open.stats.batches > 0) this.#settleOpen(open, end);
    else this.recorder.spent(open.row);
    await this.recorder.record();
    this.unavailable = undefined;
    // what waits again is on its way again in this turn: nobody else would find it waiting
    if (this.#fruitless > 0 && this.#writerFailure !== undefined) this.#giveUpOld(this.#writerFailure);
    if (this.phase === 'recovering') this.#phase = 'ready';
    this.waiters.wake();
  }

  /** Ends the wait of appends that have waited for long enough. */
  #giveUpOld(cause: StorageError): void {
    this.#dispatcher.queue.giveUp(this.environment.clock.monotonic() - this.environment.tuning.recoverTimeoutMs, cause);
  }

  #failAll(error: StorageError): void {
    this.#dispatcher.queue.failAll(error);
    this.#tellChange();
  }

  /** Resolves when a phase has ended or an append has settled. */
  #changed(): Promise<void> {
    return new Promise((resolve) => this.#changeWaiters.push(resolve));
  }

  #tellChange(): void {
    const waiting = this.#changeWaiters;
    this.#changeWaiters = [];
    for (const wake of waiting) wake();
  }
}
