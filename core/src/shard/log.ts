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
import { isStorageError, StorageError } from '../errors.ts';
import { ShardState } from '../fold/shard-state.ts';
import type { EngineInstance } from '../storage-options.ts';
import { WaitSet } from '../wait/waiter.ts';
import { AppendEntry } from './append-entry.ts';
import { type HeadRow, isUnsealed, type SegmentRow, segmentId } from './chain.ts';
import { type ChainChange, ChainStore } from './chain-store.ts';
import { instanceOf, pause, type ShardEnvironment } from './environment.ts';
import { OpenSegment } from './open-segment.ts';
import { PendingSequences } from './pending-sequences.ts';
import { recoverChain, sealedRow, stateAtEnd } from './recovery.ts';

/** Offsets reserved in Meta at a time, at least; more where they are used up fast. */
const RESERVE_STEP = 1 << 20;
/** The row of the next segment is prepared when the open one has this share of its bytes. */
const PREPARE_AT = 0.8;
/** How often one append is tried again after a refusal that should not happen, before it is given up. */
const MAX_ATTEMPTS = 5;
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 5000;
const MAX_OPEN_RETRY_MS = 30_000;

type Phase = 'new' | 'loading' | 'idle' | 'acquiring' | 'ready' | 'rolling' | 'recovering' | 'stopped';

export interface PlannedChange {
  readonly change: ChainChange;
  readonly apply: () => void;
}

export class ShardLog {
  topic: Topic;
  readonly index: number;
  readonly environment: ShardEnvironment;
  readonly store: ChainStore;
  readonly waiters: WaitSet = new WaitSet();
  /** Why the shard can't be served, if so. */
  unavailable: StorageError | undefined;
  /** What is sealed or lost, in order of base: it tiles the offsets from the oldest segment to the open one. */
  rows: SegmentRow[] = [];
  /** What was replaced or dropped and waits for its end. */
  deleting: SegmentRow[] = [];
  open: OpenSegment | undefined;
  committed = 0;
  logStart = 0;

  #phase: Phase = 'new';
  #loaded: Promise<void> | undefined;
  #state = new ShardState();
  #epoch = 0;
  #nextSeq = 1;
  /** The next offset to give out. */
  #next = 0;
  #reserved = 0;
  #reserving: Promise<void> | undefined;
  #lastReserveAt = 0;
  #prepared: SegmentRow | undefined;
  #preparing: Promise<void> | undefined;
  readonly #pending = new PendingSequences();
  #queue: AppendEntry[] = [];
  #queuedBytes = 0;
  #inflight: AppendEntry[] = [];
  /** Refused without being applied: they go back to the front of the queue once everything in flight has settled. */
  #again: AppendEntry[] = [];
  #failed: AppendEntry[] = [];
  /** Changes that Meta is to learn with the next commit: rows of segments that were sealed, and of ones that were never used. */
  #unrecorded: SegmentRow[] = [];
  #spent: SegmentRow[] = [];
  #recovering = false;
  /** Monotonic ms before which opening the shard is not tried again. */
  #retryAt = 0;
  #retryDelay = FIRST_RETRY_MS;
  #waitingForCredit = false;
  #roomWaiters: (() => void)[] = [];
  #idleWaiters: (() => void)[] = [];
  #draining = false;
  #order = 0;
  #lastChange: Promise<unknown> = Promise.resolve();
  /** The operator has given up what can't be recovered. */
  acceptLoss = false;
  /** Leftovers of copies that an earlier process did not finish are gone. */
  copiesSwept = false;

  constructor(environment: ShardEnvironment, topic: Topic, index: number) {
    this.environment = environment;
    this.topic = topic;
    this.index = index;
    this.store = new ChainStore({ ...environment, topicId: topic.id, shard: index });
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
    return this.#queuedBytes;
  }

  /** Resolves when reads can be served: the chain is known, and so is the end of what was committed. */
  opened(): Promise<void> {
    const refusal = this.#loaded === undefined ? this.refusal() : undefined;
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  /** What a caller is told at once, instead of trying what has just failed again. */
  refusal(): StorageError | undefined {
    if (this.unavailable === undefined || this.#phase === 'stopped') return this.unavailable;
    if (this.#phase === 'recovering') return isForAPerson(this.unavailable) ? this.unavailable : undefined;
    return this.environment.clock.monotonic() < this.#retryAt ? this.unavailable : undefined;
  }

  append(batches: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<AppendResult> {
    try {
      if (this.#draining && this.#phase !== 'stopped')
        throw new StorageError('CLOSED', 'the node is stopping', { where: this.where });
      if (signal?.aborted) throw new StorageError('ABORTED', 'aborted before it was admitted', { where: this.where });
      const refusal = this.refusal();
      if (refusal !== undefined) throw refusal;
      if (this.#queuedBytes > 2 * this.environment.tuning.shardWindowBytes)
        throw new StorageError('BACKPRESSURE', 'more is waiting than the shard takes', {
          where: this.where,
          hint: 'Wait for ready() before append()',
        });
      const entry = new AppendEntry(
        batches,
        this.topic.settings.maxMessageBytes,
        signal,
        this.environment.clock.monotonic(),
      );
      entry.order = this.#order++;
      this.#queue.push(entry);
      this.#queuedBytes += entry.bytes;
      this.#pump();
      return entry.result;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  ready(): Promise<void> | undefined {
    if (this.#queuedBytes < this.environment.tuning.shardWindowBytes) return undefined;
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** The topic's settings have changed. Resolves when new appends follow them. */
  async retopic(topic: Topic): Promise<void> {
    this.topic = topic;
    if (this.open === undefined || this.open.row.instance === topic.settings.engine) return;
    await this.rollNow();
  }

  /** Seals the open segment, if there is one that holds anything; the next append opens another. */
  async rollNow(): Promise<void> {
    const open = this.open;
    if (open === undefined) return;
    open.mustRoll = true;
    this.#pump();
    await this.#settled();
    if (this.open === open && this.#phase === 'ready') await this.#roll(false);
  }

  /** Refuses new appends, settles the ones that wait, seals. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#phase === 'new') return;
    await this.#settled();
    if (this.open !== undefined && this.#phase === 'ready') await this.#roll(false);
    await this.#preparing?.catch(() => {});
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared !== undefined) this.#spent.push(prepared);
    if (this.#phase === 'ready') await this.#record({});
  }

  /** Gives up: nothing is sealed, what waits fails with `error`. */
  stop(error: StorageError): void {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopped';
    this.unavailable ??= error;
    this.store.stop();
    this.#failAll(error);
    this.open?.writer.close().catch(() => {}); // the engine settles what is in flight when it is closed
    this.waiters.wake();
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

  /** Sequence numbers and ids for segments that are not written by appends: merged, compacted, moved ones. */
  takeSeq(): { seq: number; id: string; head: Partial<HeadRow> } {
    const seq = this.#nextSeq++;
    return { seq, id: segmentId(this.topic.id, this.index, seq), head: { nextSeq: this.#nextSeq } };
  }

  /** Becomes the owner if it is not yet. @throws what makes the shard unavailable */
  async own(): Promise<void> {
    await this.opened();
    if (this.#phase === 'idle') await this.#acquire();
  }

  // ---- opening

  async #load(): Promise<void> {
    this.#phase = 'loading';
    try {
      const rows = await this.store.load();
      const { head } = this.store;
      this.logStart = head.logStart;
      this.#epoch = head.epoch;
      this.#nextSeq = rows.reduce((highest, row) => Math.max(highest, row.seq + 1), head.nextSeq);
      this.#reserved = head.reserved;
      if (this.phase === 'stopped') throw this.unavailable;
      this.#phase = 'idle';
      if (rows.some((row) => isUnsealed(row) || this.#isGone(row))) await this.#acquire(rows);
      else this.#settleRows(rows);
    } catch (error) {
      if (this.phase !== 'stopped') this.#phase = 'new';
      this.#loaded = undefined;
      this.#failAll(this.#asStorageError(error));
      throw error;
    }
    this.#pump();
    this.#tellIdle();
  }

  #isGone(row: SegmentRow): boolean {
    if (row.state === 'LOST' || row.state === 'DELETING') return false;
    const instance = this.environment.engines.get(row.instance);
    return instance?.capabilities.durability === 'none' && instance.engine.incarnation !== row.incarnation;
  }

  /** Takes the rows as the whole chain: nothing in it is unsealed. */
  #settleRows(rows: readonly SegmentRow[]): void {
    this.rows = rows.filter((row) => row.state !== 'DELETING').sort((a, b) => a.base - b.base || a.seq - b.seq);
    this.deleting = rows.filter((row) => row.state === 'DELETING');
    this.committed = Math.max(this.logStart, this.rows.at(-1)?.end ?? 0);
    this.#next = this.committed;
  }

  /** Takes a new epoch and seals what an earlier owner, or this one before it failed, left open. */
  async #acquire(found?: readonly SegmentRow[]): Promise<void> {
    this.#phase = 'acquiring';
    try {
      const epoch = this.store.head.epoch + 1;
      // the rows as they were found stay in the hands of the caller until they are settled: a failure begins from them again
      const rows = found ?? [...this.rows, ...this.deleting];
      const unsealed = rows.filter(isUnsealed);
      const fresh = unsealed.length === 0 && !rows.some((row) => this.#isGone(row));
      const head = { epoch, owner: this.environment.nodeId };
      this.#epoch = epoch;
      if (fresh) {
        await this.#acquireFresh(head);
      } else {
        const recovering = unsealed.map((row) =>
          row.state === 'OPEN' ? { ...row, state: 'RECOVERING' as const } : row,
        );
        await this.store.commit({ head, puts: recovering.filter((row) => row.state === 'RECOVERING') });
        await this.#recoverRows([...rows.filter((row) => !isUnsealed(row)), ...recovering], epoch);
      }
      this.#state = await stateAtEnd(this.environment, this.rows);
      this.unavailable = undefined;
      this.#retryDelay = FIRST_RETRY_MS;
      this.acceptLoss = false;
      if (this.phase !== 'stopped') this.#phase = 'ready';
    } catch (error) {
      if (this.phase !== 'stopped') {
        this.#phase = 'idle';
        this.unavailable = this.#asStorageError(error);
        this.#retryAt = this.environment.clock.monotonic() + this.#retryDelay;
        this.#retryDelay = Math.min(2 * this.#retryDelay, MAX_OPEN_RETRY_MS);
        this.environment.logger.error({ shard: this.where, err: error }, 'the shard can not be opened');
      }
      throw error;
    }
  }

  /** Nothing to recover: the epoch, the first reservation and the row of the next segment are one commit. */
  async #acquireFresh(head: Partial<HeadRow>): Promise<void> {
    const wanted = this.#queue.length > 0 ? this.#newRow() : undefined;
    this.#reserved = Math.max(this.#reserved, this.#next + RESERVE_STEP);
    await this.store.commit({
      head: { ...head, reserved: this.#reserved, nextSeq: this.#nextSeq },
      puts: wanted === undefined ? [] : [wanted],
    });
    this.#prepared = wanted;
  }

  async #recoverRows(rows: readonly SegmentRow[], epoch: number): Promise<void> {
    this.environment.counters.recoveries.value++;
    const options = { epoch, acceptLoss: this.acceptLoss };
    const recovered = await recoverChain(this.environment, rows, this.store.head, options);
    let logStart = this.logStart;
    const lostHead: SegmentRow[] = [];
    for (const row of recovered.rows) {
      if (row.state === 'DELETING' || row.end <= logStart) continue;
      if (row.state !== 'LOST' || row.base > logStart) break;
      logStart = row.end;
      lostHead.push(row);
    }
    const kept = recovered.rows.filter((row) => !lostHead.includes(row));
    if (recovered.lostOffsets > 0) {
      this.environment.counters.lostOffsets.value += recovered.lostOffsets;
      this.environment.logger.warn({ shard: this.where, logStart }, 'data that did not outlive its medium is gone');
    }
    const end = kept.reduce(
      (highest, row) => (row.state === 'DELETING' ? highest : Math.max(highest, row.end)),
      logStart,
    );
    const reserved = Math.max(this.#reserved, end + RESERVE_STEP);
    await this.#commitInPieces({
      head: { logStart, reserved, nextSeq: this.#nextSeq },
      puts: recovered.changed.filter((row) => kept.includes(row)),
      deletes: [...recovered.dropped, ...lostHead].map((row) => row.seq),
    });
    this.logStart = logStart;
    this.#reserved = reserved;
    this.#settleRows(kept);
    for (const row of recovered.dropped) if (row.base >= 0 || row.state === 'PREPARED') await this.#deleteQuietly(row);
  }

  /** A recovery after a restart may change more rows than one commit takes. Each piece leaves a chain that can be recovered again. */
  async #commitInPieces(change: ChainChange): Promise<void> {
    const puts = [...(change.puts ?? [])];
    const deletes = [...(change.deletes ?? [])];
    while (puts.length + deletes.length > 100) {
      if (puts.length > 0) await this.store.commit({ puts: puts.splice(0, 100) });
      else await this.store.commit({ deletes: deletes.splice(0, 100) });
    }
    await this.store.commit({ ...change, puts, deletes });
  }

  async #deleteQuietly(row: SegmentRow): Promise<void> {
    try {
      await this.environment.engines.get(row.instance)?.engine.delete(row.id);
    } catch (error) {
      this.environment.logger.warn({ segment: row.id, err: error }, 'an empty segment could not be deleted');
    }
  }

  // ---- appending

  #pump(): void {
    while (this.#queue.length > 0 && !this.#waitingForCredit) {
      if (this.#phase !== 'ready') {
        this.#wakeUp();
        return;
      }
      if (this.#again.length > 0) return; // what was refused goes first, once all in flight has settled
      const entry = this.#queue[0];
      if (entry === undefined) return;
      if (entry.signal?.aborted) {
        this.#queue.shift();
        this.#release(entry);
        entry.reject(new StorageError('ABORTED', 'aborted before it was admitted', { where: this.where }));
        continue;
      }
      const open = this.open;
      if (open === undefined || this.#mustRoll(open)) {
        this.#roll(true).catch(() => {}); // it deals with its own failures
        return;
      }
      if (this.#next + entry.count + RESERVE_STEP / 2 > this.#reserved) {
        this.#reserve();
        if (this.#next + entry.count > this.#reserved) return;
      }
      const credit = open.writer.ready(entry.bytes);
      if (credit !== undefined) {
        this.#waitingForCredit = true;
        const go = () => {
          this.#waitingForCredit = false;
          this.#pump();
        };
        credit.then(go, go); // a failed writer shows itself at the next append
        return;
      }
      this.#queue.shift();
      this.#dispatch(entry, open);
    }
  }

  #dispatch(entry: AppendEntry, open: OpenSegment): void {
    const header = entry.headers[0];
    try {
      if (header !== undefined && header.producerId >= 0) {
        const verdict = this.#pending.check(header, this.#state.producers);
        if (verdict.kind !== 'new') {
          this.#answerDuplicate(entry, verdict);
          return;
        }
      }
      entry.assign(this.#next, this.#epoch);
    } catch (error) {
      this.#release(entry);
      entry.reject(error);
      return;
    }
    const first = entry.headers[0];
    if (first !== undefined && first.producerId >= 0) this.#pending.add(first, entry);
    this.#next = entry.next;
    this.#inflight.push(entry);
    open.dispatchedBytes += entry.bytes;
    open.writer.append(entry.batches, { base: entry.base }).then(
      () => this.#appended(entry, open),
      (error: unknown) => this.#refused(entry, open, error),
    );
    if (open.dispatchedBytes > PREPARE_AT * this.topic.settings.segment.bytes) this.#prepare();
  }

  #answerDuplicate(
    entry: AppendEntry,
    verdict: { kind: 'duplicate'; base: number; next: number } | { kind: 'pending'; entry: AppendEntry },
  ): void {
    this.#release(entry);
    this.environment.counters.duplicateBatches.value++;
    if (verdict.kind === 'duplicate') entry.resolve({ base: verdict.base, next: verdict.next, duplicate: true });
    else verdict.entry.result.then((first) => entry.resolve({ ...first, duplicate: true }), entry.reject);
  }

  #appended(entry: AppendEntry, open: OpenSegment): void {
    // settlements come in call order, so it is the oldest
    if (this.#inflight[0] === entry) this.#inflight.shift();
    else this.#inflight.splice(this.#inflight.indexOf(entry), 1);
    this.#commit(entry, open);
    this.waiters.wake();
    this.#afterSettlement();
  }

  #commit(entry: AppendEntry, open: OpenSegment): void {
    const now = this.environment.clock.wall();
    for (let i = 0; i < entry.headers.length; i++) {
      const header = entry.headers[i];
      const batch = entry.batches[i];
      if (header === undefined || batch === undefined) continue;
      this.#state.apply(header, now);
      open.stats.add(header, batch, 0, now);
    }
    this.#pending.remove(entry);
    this.committed = entry.next;
    const { counters } = this.environment;
    counters.appendedBytes.value += entry.bytes;
    counters.appendedBatches.value += entry.batches.length;
    this.#release(entry);
    entry.resolve({ base: entry.base, next: entry.next, duplicate: false });
  }

  #refused(entry: AppendEntry, open: OpenSegment, error: unknown): void {
    this.#inflight.splice(this.#inflight.indexOf(entry), 1);
    const failure = this.#asStorageError(error);
    if (failure.outcome === 'none') {
      this.#pending.remove(entry);
      this.#next = Math.min(this.#next, entry.base);
      open.dispatchedBytes -= entry.bytes;
      if (failure.code === 'SEGMENT_MUST_ROLL') open.mustRoll = true;
      const again = isStorageError(failure, 'SEGMENT_MUST_ROLL', 'OFFSET_MISMATCH', 'BACKPRESSURE', 'SEGMENT_SEALED');
      // the first one refused is the cause, those behind it only miss it
      if (this.#again.length === 0) entry.attempts++;
      if (again && entry.attempts < MAX_ATTEMPTS && this.#phase !== 'stopped') {
        this.#again.push(entry);
      } else {
        this.#release(entry);
        entry.reject(failure);
      }
    } else if (this.#phase === 'stopped') {
      this.#pending.remove(entry);
      this.#release(entry);
      entry.reject(failure);
    } else {
      this.#failed.push(entry);
      if (this.#phase === 'ready') {
        this.#phase = 'recovering';
        this.environment.logger.warn(
          { shard: this.where, segment: open.row.id, err: error },
          'a writer failed, the segment is recovered',
        );
      }
    }
    this.#afterSettlement();
  }

  #afterSettlement(): void {
    if (this.#inflight.length === 0) {
      if (this.#phase === 'recovering') {
        this.#recoverWriter().catch(() => {}); // it deals with its own failures
        return;
      }
      if (this.#again.length > 0 && this.#failed.length === 0) {
        this.environment.counters.redispatched.value += this.#again.length;
        this.#queue.unshift(...this.#again);
        this.#again = [];
      }
    }
    this.#pump();
    if (this.#inflight.length === 0 && this.#queue.length === 0) this.#tellIdle();
  }

  /** Takes a finished entry's bytes off the shard's account. */
  #release(entry: AppendEntry): void {
    this.#queuedBytes -= entry.bytes;
    if (this.#roomWaiters.length === 0 || this.#queuedBytes >= this.environment.tuning.shardWindowBytes) return;
    const waiting = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const wake of waiting) wake();
  }

  /** The queue is not empty, and the phase is none in which it is served: make it so. */
  #wakeUp(): void {
    if (this.#phase === 'new') {
      this.opened().catch(() => {}); // the entries were told
    } else if (this.#phase === 'idle') {
      this.#acquire().then(
        () => {
          this.#pump();
          this.#tellIdle();
        },
        (error: unknown) => this.#failAll(this.#asStorageError(error)),
      );
    } else if (this.#phase === 'stopped') {
      this.#failAll(this.unavailable ?? new StorageError('CLOSED', 'the node is stopping', { where: this.where }));
    }
  }

  // ---- rolling

  #mustRoll(open: OpenSegment): boolean {
    const { settings } = this.topic;
    return (
      open.mustRoll ||
      (open.dispatchedBytes > 0 && open.dispatchedBytes >= settings.segment.bytes) ||
      open.row.instance !== settings.engine ||
      this.isOld(open)
    );
  }

  isOld(open: OpenSegment): boolean {
    return (
      open.dispatchedBytes > 0 && this.environment.clock.monotonic() - open.openedAt >= this.topic.settings.segment.ms
    );
  }

  /** Seals the open segment, if there is one, and with `goOn` opens the next. */
  async #roll(goOn: boolean): Promise<void> {
    this.#phase = 'rolling';
    const open = this.open;
    try {
      if (open !== undefined) await this.#sealOpen(open);
      if (this.phase !== 'rolling') return; // stopped, or an append failed meanwhile: that path goes on
      if (goOn) await this.#openNext();
      else await this.#record({});
      if (this.phase === 'rolling') this.#phase = 'ready';
    } catch (error) {
      await this.#rollFailed(open, error);
    }
    this.#afterSettlement();
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
      this.#spent.push(open.row);
      await open.writer.close();
      return;
    }
    const row = sealedRow(open.row, end, open.stats, this.#state, this.environment.clock.wall());
    this.rows.push(row);
    this.#unrecorded.push(row);
    this.#keepReader(open, row);
    this.environment.counters.rolls.value++;
  }

  /** Commits a change together with what Meta has not been told yet. */
  async #record(change: ChainChange): Promise<void> {
    const unrecorded = this.#unrecorded;
    const spent = this.#spent;
    this.#unrecorded = [];
    this.#spent = [];
    const puts = [...unrecorded, ...(change.puts ?? [])];
    const deletes = [...spent.map((row) => row.seq), ...(change.deletes ?? [])];
    if (puts.length + deletes.length === 0 && change.head === undefined) return;
    try {
      await this.store.commit({ ...change, puts, deletes });
    } catch (error) {
      this.#unrecorded.unshift(...unrecorded);
      this.#spent.unshift(...spent);
      throw error;
    }
    for (const row of spent) await this.#deleteQuietly(row);
  }

  /** Readers may be in the middle of the writer: it is closed only behind them, by the cache. */
  #keepReader(open: OpenSegment, row: SegmentRow): void {
    this.environment.readers
      .use(
        row.id,
        async () => open.writer,
        async () => {},
      )
      .catch(() => {});
  }

  async #openNext(): Promise<void> {
    const instance = instanceOf(this.environment, this.topic.settings.engine);
    await this.#preparing;
    const row = await this.#takePrepared(instance);
    const writer = await this.#create(instance, row);
    if (this.phase !== 'rolling') {
      await writer.close();
      return;
    }
    this.#next = this.committed;
    const opened: SegmentRow = { ...row, state: 'OPEN', base: this.committed, epoch: this.#epoch };
    const open = new OpenSegment(opened, writer, instance, this.environment.clock.monotonic());
    open.recorded = this.#record({ puts: [opened] });
    open.recorded.catch((error: unknown) => this.#lostOwnership(error));
    this.open = open;
  }

  /** A row that Meta knows, for a segment on `instance`. */
  async #takePrepared(instance: EngineInstance): Promise<SegmentRow> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (
      prepared !== undefined &&
      prepared.instance === instance.name &&
      prepared.incarnation === instance.engine.incarnation
    )
      return prepared;
    if (prepared !== undefined) this.#spent.push(prepared);
    const row = this.#newRow();
    await this.#record({ head: { nextSeq: this.#nextSeq }, puts: [row] });
    return row;
  }

  async #create(instance: EngineInstance, row: SegmentRow): Promise<SegmentWriter> {
    try {
      return await instance.engine.create(row.id, {
        base: this.committed,
        epoch: this.#epoch,
        config: this.topic.settings.engineSettings,
        state: this.#state.encode(this.environment.clock.wall()),
      });
    } catch (error) {
      // refused for sure: the row serves the next try. Else the engine may or may not have made it
      if (this.#asStorageError(error).outcome === 'none') this.#prepared = row;
      else this.#spent.push(row);
      throw error;
    }
  }

  async #rollFailed(open: OpenSegment | undefined, error: unknown): Promise<void> {
    if (this.phase === 'stopped') return;
    const failure = this.#asStorageError(error);
    if (failure.code === 'NOT_OWNER') {
      this.#lostOwnership(failure);
      return;
    }
    if (open !== undefined && this.open === open) {
      // sealing failed: what it left is found out by recovery, like any failed writer
      this.#phase = 'recovering';
      if (this.#inflight.length === 0) await this.#recoverWriter();
      return;
    }
    this.environment.logger.warn({ shard: this.where, err: error }, 'no segment could be opened');
    if (failure.outcome === 'none') {
      this.#failQueue(failure);
    } else {
      this.#giveUpOld(failure);
      await pause(this.environment, FIRST_RETRY_MS * 4);
    }
    if (this.phase === 'rolling') this.#phase = 'ready';
  }

  /** Another owner has the shard, or the topic is gone. */
  #lostOwnership(error: unknown): void {
    const failure = this.#asStorageError(error);
    if (failure.code === 'CLOSED') return;
    this.environment.logger.warn({ shard: this.where, err: error }, 'the shard is no longer ours');
    this.stop(failure);
  }

  #newRow(): SegmentRow {
    const instance = instanceOf(this.environment, this.topic.settings.engine);
    const { seq, id } = this.takeSeq();
    return {
      seq,
      id,
      instance: instance.name,
      incarnation: instance.engine.incarnation,
      state: 'PREPARED',
      base: -1,
      end: -1,
      epoch: this.#epoch,
      bytes: 0,
      minTs: -1,
      maxTs: -1,
      appendMaxTs: 0,
      crc: 0,
    };
  }

  #prepare(): void {
    if (this.#prepared !== undefined || this.#preparing !== undefined || this.#phase !== 'ready') return;
    const row = this.#newRow();
    this.#preparing = this.store
      .commit({ head: { nextSeq: this.#nextSeq }, puts: [row] })
      .then(
        () => {
          this.#prepared = row;
        },
        (error: unknown) => this.#lostOwnership(error),
      )
      .finally(() => {
        this.#preparing = undefined;
      });
  }

  #reserve(): void {
    if (this.#reserving !== undefined) return;
    const used = this.#next - this.#lastReserveAt;
    this.#lastReserveAt = this.#next;
    const reserved = this.#next + Math.max(RESERVE_STEP, 4 * used);
    this.#reserving = this.store
      .commit({ head: { reserved } })
      .then(
        () => {
          this.#reserved = reserved;
        },
        (error: unknown) => this.#lostOwnership(error),
      )
      .finally(() => {
        this.#reserving = undefined;
        this.#pump();
      });
  }

  // ---- recovering from a failed writer

  async #recoverWriter(): Promise<void> {
    const open = this.open;
    if (open === undefined || this.#recovering) return;
    this.#recovering = true;
    try {
      await this.#recoverUntilDone(open);
    } finally {
      this.#recovering = false;
    }
    this.#afterSettlement();
  }

  async #recoverUntilDone(open: OpenSegment): Promise<void> {
    for (let delay = FIRST_RETRY_MS; this.phase === 'recovering'; delay = Math.min(delay * 2, MAX_RETRY_MS)) {
      try {
        await open.recorded;
        const epoch = this.store.head.epoch + 1;
        await this.store.commit({
          head: { epoch, owner: this.environment.nodeId },
          puts: [{ ...open.row, state: 'RECOVERING' }],
        });
        this.#epoch = epoch;
        await this.#finishRecovery(open, epoch);
        return;
      } catch (error) {
        if (this.phase !== 'recovering') return;
        const failure = this.#asStorageError(error);
        if (failure.code === 'NOT_OWNER') {
          this.#lostOwnership(failure);
          return;
        }
        this.environment.logger.error(
          { shard: this.where, segment: open.row.id, err: error },
          'a segment can not be recovered yet',
        );
        this.unavailable = failure;
        if (isForAPerson(failure)) {
          this.#failAll(failure);
          return; // for a person; the phase stays, a restart tries again
        }
        this.#giveUpOld(failure);
        await pause(this.environment, delay);
      }
    }
  }

  async #finishRecovery(open: OpenSegment, epoch: number): Promise<void> {
    const { end } = await open.instance.engine.recover(open.row.id, { epoch });
    if (end < this.committed)
      throw new StorageError('CORRUPT', `recovered up to ${end}, but ${this.committed} was acknowledged`, {
        where: open.row.id,
      });
    if (this.#failed.some((entry) => entry.base < end && end < entry.next))
      throw new StorageError('CORRUPT', `recovered up to ${end}, which is inside of an append`, { where: open.row.id });
    const rest = this.#failed.filter((entry) => entry.next > end);
    for (const entry of this.#failed) if (entry.next <= end) this.#commit(entry, open);
    for (const entry of rest) this.#pending.remove(entry);
    for (const entry of rest) if (entry.abandoned) this.#release(entry);
    const goOn = [...rest.filter((entry) => !entry.abandoned), ...this.#again].sort((a, b) => a.order - b.order);
    this.#failed = [];
    this.#again = [];
    this.#queue.unshift(...goOn);
    this.#next = end;
    this.open = undefined;
    open.writer.close().catch(() => {}); // it has failed already
    this.environment.counters.recoveries.value++;
    this.environment.counters.redispatched.value += goOn.length;
    if (open.stats.batches > 0) {
      const row = sealedRow(open.row, end, open.stats, this.#state, this.environment.clock.wall());
      this.rows.push(row);
      this.#unrecorded.push(row);
    } else {
      this.#spent.push(open.row);
    }
    await this.#record({});
    this.unavailable = undefined;
    if (this.phase === 'recovering') this.#phase = 'ready';
    this.waiters.wake();
  }

  /** Ends the wait of appends that have waited for long enough: whether the ones in doubt were applied is not known. */
  #giveUpOld(cause: StorageError): void {
    const before = this.environment.clock.monotonic() - this.environment.tuning.recoverTimeoutMs;
    const timedOut = (entry: AppendEntry) => entry.since < before;
    const inDoubt = this.#failed.filter(timedOut);
    // those in doubt stay in #failed: recovery still has to find out; only their callers are told
    for (const entry of inDoubt) {
      entry.abandoned = true;
      entry.reject(this.#timeout(cause, 'unknown'));
    }
    for (const entry of [...this.#queue]) {
      if (!timedOut(entry)) continue;
      this.#queue.splice(this.#queue.indexOf(entry), 1);
      this.#release(entry);
      entry.reject(this.#timeout(cause, 'none'));
    }
  }

  #timeout(cause: StorageError, outcome: 'none' | 'unknown'): StorageError {
    return new StorageError('TIMEOUT', `the storage did not recover in time: ${cause.message}`, {
      where: this.where,
      cause,
      outcome,
    });
  }

  // ---- ending

  #failQueue(error: StorageError): void {
    const queue = [...this.#again, ...this.#queue];
    this.#again = [];
    this.#queue = [];
    for (const entry of queue) {
      this.#release(entry);
      entry.reject(error);
    }
  }

  #failAll(error: StorageError): void {
    this.#failQueue(error);
    const inDoubt = this.#failed;
    this.#failed = [];
    for (const entry of inDoubt) {
      this.#pending.remove(entry);
      this.#release(entry);
      entry.reject(
        new StorageError(error.code, error.message, { where: this.where, cause: error, outcome: 'unknown' }),
      );
    }
    this.#tellIdle();
  }

  /** Resolves when nothing waits and nothing is in flight. */
  #settled(): Promise<void> {
    const busy =
      this.#queue.length + this.#inflight.length + this.#again.length + this.#failed.length > 0 ||
      this.#phase === 'rolling' ||
      this.#phase === 'recovering' ||
      this.#phase === 'acquiring' ||
      this.#phase === 'loading';
    if (!busy || this.#phase === 'stopped') return Promise.resolve();
    return new Promise<void>((resolve) => this.#idleWaiters.push(resolve)).then(() => this.#settled());
  }

  #tellIdle(): void {
    const waiting = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const wake of waiting) wake();
  }

  #asStorageError(error: unknown): StorageError {
    if (isStorageError(error)) return error;
    return new StorageError('WRITER_FAILED', error instanceof Error ? error.message : String(error), {
      where: this.where,
      cause: error,
    });
  }
}

/** Trying again would give the same. */
function isForAPerson(error: StorageError): boolean {
  return isStorageError(error, 'CORRUPT', 'SEGMENT_LOST', 'SEGMENT_UNKNOWN', 'FORMAT_TOO_NEW');
}
