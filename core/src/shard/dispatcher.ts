/**
 * From the queue to the writer of the open segment: assigns offsets, keeps a few groups on their way, takes in what became of them. What is to
 * be done beside that (open a segment, recover one) it asks of the shard's log, which calls {@link Dispatcher.pump} when it is done.
 */
import type { Topic } from '../adapter.ts';
import { isStorageError, StorageError } from '../errors.ts';
import { ShardState } from '../fold/shard-state.ts';
import type { WaitSet } from '../wait/waiter.ts';
import type { AppendEntry } from './append-entry.ts';
import { AppendQueue } from './append-queue.ts';
import type { ChainRecorder } from './chain-recorder.ts';
import type { ShardEnvironment } from './environment.ts';
import { asStorageError } from './failure.ts';
import type { OpenSegment } from './open-segment.ts';
import { atEndOfTurn } from './turn.ts';

/** The row of the next segment is prepared when the open one has this share of its bytes. */
const PREPARE_AT = 0.8;
/** How often one append is tried again after a refusal that should not happen, before it is given up. */
const MAX_ATTEMPTS = 5;
/** An engine that is silent for longer is a problem that `/readyz` tells of. */
const SILENT_ENGINE_MS = 10_000;
/** Appends that wait together go to the engine as one, up to these bytes; */
const GROUP_BYTES = 1024 * 1024;
/** and while this many are on their way, others wait to go together. */
const MAX_GROUPS = 4;
/** With so much of a turn's appends here, the first of them go: the disk works while the rest of them come. */
const EARLY_BYTES = 64 * 1024;
/** Refusals of what came at a wrong moment: it is dispatched again. */
const MISSED_ITS_TURN = [
  'SEGMENT_MUST_ROLL',
  'OFFSET_MISMATCH',
  'BACKPRESSURE',
  'SEGMENT_SEALED',
  'WRITER_FAILED',
  'FENCED',
] as const;

/** The shard's log, as the dispatcher needs it. */
export interface DispatchHost {
  readonly environment: ShardEnvironment;
  readonly recorder: ChainRecorder;
  readonly waiters: WaitSet;
  readonly topic: Topic;
  readonly where: string;
  readonly epoch: number;
  /** `ready`: appends may be dispatched; `stopped`: what comes back has failed; `busy`: something else comes first. */
  readonly dispatchPhase: 'ready' | 'busy' | 'stopped';
  readonly open: OpenSegment | undefined;
  mustRoll(open: OpenSegment): boolean;
  /** Seals the open segment, if there is one, and opens the next. */
  rollOn(): void;
  /** Appends wait, and they can't be dispatched as things are. */
  wakeUp(): void;
  writerFailed(open: OpenSegment, error: unknown): void;
  lostOwnership(error: unknown): void;
  /** Nothing is in flight now. @returns whether something else comes first */
  landed(): boolean;
  settledSome(): void;
}

export class Dispatcher {
  readonly queue: AppendQueue;
  readonly #host: DispatchHost;
  /** The fold at {@link committed}. */
  state: ShardState = new ShardState();
  #committed = 0;
  /** The next offset to give out. */
  #next = 0;
  #waitingForCredit = false;
  #pumpsSoon = false;
  /** Appended since the last look at what waits. */
  #soonBytes = 0;
  #groups = 0;
  /** When the groups in flight were sent, oldest first, in monotonic ms: they settle in order. */
  readonly #sentAt: number[] = [];
  /** Something was refused: its place, and those behind it, are known only when nothing is in flight. */
  #holding = false;

  constructor(host: DispatchHost) {
    this.#host = host;
    this.queue = new AppendQueue(host.environment.tuning.shardWindowBytes, () => host.where);
  }

  /** Set while the engine has not answered an append for so long that a person should know. */
  get trouble(): StorageError | undefined {
    const sentAt = this.#sentAt[0];
    const waited = sentAt === undefined ? 0 : this.#host.environment.clock.monotonic() - sentAt;
    if (waited < SILENT_ENGINE_MS) return undefined;
    const seconds = Math.round(waited / 1000);
    return new StorageError('TIMEOUT', `the engine has not answered an append for ${seconds} s`, {
      where: this.#host.where,
    });
  }

  get committed(): number {
    return this.#committed;
  }

  /** The log ends here; nothing is in flight. */
  startFrom(committed: number): void {
    this.#committed = committed;
    this.#next = committed;
    this.#holding = false;
  }

  /**
   * Pumps when all that is appended in this turn has come, or when enough of it has: whoever is told of a commit appends the next thing in
   * the same turn, and the disk need not wait for the last of them.
   */
  pumpSoon(entry: AppendEntry): void {
    this.#soonBytes += entry.bytes;
    if (this.#soonBytes >= EARLY_BYTES) {
      this.#soonBytes = 0;
      this.pump();
    } else if (!this.#pumpsSoon) {
      this.#pumpsSoon = true;
      atEndOfTurn(this);
    }
  }

  endOfTurn(): void {
    this.#pumpsSoon = false;
    this.#soonBytes = 0;
    this.pump();
  }

  /** Sends what waits on its way, as far as the phase, the credit and Meta's reservations let it. */
  pump(): void {
    while (this.queue.hasWaiting && !this.#waitingForCredit) {
      if (this.#host.dispatchPhase !== 'ready') {
        this.#host.wakeUp();
        return;
      }
      if (this.#holding || this.#groups >= MAX_GROUPS) return;
      const { open } = this.#host;
      if (open === undefined || this.#host.mustRoll(open)) {
        this.#host.rollOn();
        return;
      }
      const room = this.#host.topic.settings.segment.bytes - open.dispatchedBytes;
      const group = this.queue.next(Math.min(GROUP_BYTES, room));
      const next = this.#next + group.offsets;
      if (this.#host.recorder.isRunningLow(next)) this.#reserve(next);
      if (group.count === 0 || next > this.#host.recorder.reserved || this.#needsCredit(open, group.bytes)) return;
      this.#dispatch(this.queue.take(group.count), open);
    }
  }

  #reserve(next: number): void {
    this.#host.recorder.reserve(
      next,
      () => this.pump(),
      (error) => this.#host.lostOwnership(error),
    );
  }

  #needsCredit(open: OpenSegment, bytes: number): boolean {
    const credit = open.writer.ready(bytes);
    if (credit === undefined) return false;
    this.#waitingForCredit = true;
    credit.then(
      () => {
        this.#waitingForCredit = false;
        this.pump();
      },
      (error: unknown) => {
        this.#waitingForCredit = false;
        this.#host.writerFailed(open, error);
        this.afterSettlement();
      },
    );
    return true;
  }

  /** Entries that waited together are one append to the engine: one promise, one frame, one settlement for all of them. */
  #dispatch(entries: readonly AppendEntry[], open: OpenSegment): void {
    const base = this.#next;
    const group = entries.filter((entry) => this.#launch(entry));
    if (group.length === 0) return;
    for (const entry of group) open.dispatchedBytes += entry.bytes;
    const batches = group.length === 1 ? (group[0]?.batches ?? []) : group.flatMap((entry) => entry.batches);
    this.#groups++;
    this.#sentAt.push(this.#host.environment.clock.monotonic());
    open.writer.append(batches, { base }).then(
      () => this.#appended(group, open),
      (error: unknown) => this.#refused(group, open, error),
    );
    if (open.dispatchedBytes > PREPARE_AT * this.#host.topic.settings.segment.bytes) this.#prepare();
  }

  /** Gives an entry its offsets, unless it is a repetition or refused. */
  #launch(entry: AppendEntry): boolean {
    try {
      const verdict = this.queue.judge(entry, this.state.producers);
      if (verdict.kind === 'new') {
        entry.assign(this.#next, this.#host.epoch);
        this.queue.launch(entry);
        this.#next = entry.next;
        return true;
      }
      this.#host.environment.counters.duplicateBatches.value++;
      if (verdict.kind === 'duplicate')
        this.queue.resolve(entry, { base: verdict.base, next: verdict.next, duplicate: true });
      else this.queue.follow(entry, verdict.entry);
    } catch (error) {
      this.queue.reject(entry, error);
    }
    return false;
  }

  #prepare(): void {
    const target = this.#host.environment.engines.get(this.#host.topic.settings.engine);
    if (target !== undefined)
      this.#host.recorder.prepare(target, this.#host.epoch, (error) => this.#host.lostOwnership(error));
  }

  #appended(group: readonly AppendEntry[], open: OpenSegment): void {
    this.#groups--;
    this.#sentAt.shift();
    const now = this.#host.environment.clock.wall();
    for (const entry of group) this.#commit(entry, open, now);
    this.#host.waiters.wake();
    this.afterSettlement();
  }

  #commit(entry: AppendEntry, open: OpenSegment, now: number): void {
    for (let i = 0; i < entry.headers.length; i++) {
      const header = entry.headers[i];
      const batch = entry.batches[i];
      if (header === undefined || batch === undefined) continue;
      this.state.apply(header, now);
      open.stats.add(header, batch, 0, now);
    }
    this.#committed = entry.next;
    const { counters } = this.#host.environment;
    counters.appendedBytes.value += entry.bytes;
    counters.appendedBatches.value += entry.batches.length;
    this.queue.resolve(entry, { base: entry.base, next: entry.next, duplicate: false });
  }

  #refused(group: readonly AppendEntry[], open: OpenSegment, error: unknown): void {
    this.#groups--;
    this.#sentAt.shift();
    const failure = asStorageError(error, this.#host.where);
    const isNone = failure.outcome === 'none';
    if (this.#host.dispatchPhase === 'stopped') {
      for (const entry of group) this.queue.reject(entry, failure);
    } else if (isNone) {
      this.#holding = true;
      for (const entry of group) open.dispatchedBytes -= entry.bytes;
      if (failure.code === 'SEGMENT_MUST_ROLL') open.mustRoll = true;
      const again = isStorageError(failure, ...MISSED_ITS_TURN) && (group[0]?.attempts ?? 0) < MAX_ATTEMPTS;
      for (const entry of group) {
        if (again) this.queue.refuse(entry);
        else this.queue.reject(entry, failure);
      }
    } else {
      for (const entry of group) this.queue.doubt(entry);
    }
    if (!isNone || isStorageError(failure, 'WRITER_FAILED', 'FENCED', 'CLOSED', 'IO_ERROR'))
      this.#host.writerFailed(open, error);
    this.afterSettlement();
  }

  /** The writer failed, and recovery found `end`. @returns how many appends wait again */
  recovered(end: number, open: OpenSegment): number {
    const now = this.#host.environment.clock.wall();
    const again = this.queue.resolveDoubts(end, (entry) => this.#commit(entry, open, now));
    this.startFrom(end);
    return again;
  }

  afterSettlement(): void {
    const host = this.#host;
    if (!this.queue.hasInflight) {
      if (host.landed()) return;
      if (this.#holding) {
        this.#holding = false;
        this.#next = this.#committed;
      }
      host.environment.counters.redispatched.value += this.queue.requeueRefused();
    }
    this.pump();
    host.settledSome();
  }
}
