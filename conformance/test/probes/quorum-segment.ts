import {
  type SegmentOffsets,
  type SegmentRead,
  type SegmentReader,
  type SegmentState,
  type SegmentWriter,
  StorageError,
} from '@robustmq/core';
import { Credit } from './credit.ts';
import type { QuorumMedium } from './quorum-medium.ts';
import { type Caller, type Copy, endOf, type Replica, type Run } from './replica.ts';
import { offsetForTime, readFrom, spanOf } from './stored-batches.ts';

const TRIES = 500;

/** Asks the replicas one after the other until one has what is wanted. */
export class QuorumReader implements SegmentReader {
  readonly id: string;
  readonly copy: Copy;
  protected readonly medium: QuorumMedium;
  protected readonly caller: Caller;

  constructor(id: string, copy: Copy, medium: QuorumMedium, caller: Caller) {
    this.id = id;
    this.copy = copy;
    this.medium = medium;
    this.caller = caller;
  }

  offsets(): SegmentOffsets {
    const end = this.copy.decided ?? endOf(this.copy);
    return { base: this.copy.base, committed: end, end, sealed: true };
  }

  async state(): Promise<SegmentState> {
    return this.copy.state;
  }

  async read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<SegmentRead> {
    const { committed } = this.offsets();
    const run = await this.#find(committed, ({ next }) => next > from && next <= committed);
    return run === undefined ? { bytes: new Uint8Array(0), next: committed } : readFrom(this.#run(run), from, maxBytes);
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    const { committed } = this.offsets();
    const run = await this.#find(committed, ({ next, maxTimestamp }) => next <= committed && maxTimestamp >= timestamp);
    return run === undefined ? undefined : offsetForTime(this.#run(run), timestamp);
  }

  async close(): Promise<void> {}

  #run({ place }: Run): Uint8Array {
    return this.medium.shelf.get(place);
  }

  async #find(committed: number, wanted: (run: Run) => boolean): Promise<Run | undefined> {
    const { uid } = this.copy;
    let gone = 0;
    for (const replica of this.medium.replicas) {
      try {
        const copy = await this.medium.one(this.caller, replica, (one) => one.look(this.id));
        if (copy?.uid !== uid) gone++;
        else if (endOf(copy) >= committed) return copy.runs.find(wanted);
      } catch {
        // the next one may have it
      }
    }
    const code = gone > 1 ? 'SEGMENT_UNKNOWN' : 'IO_ERROR';
    throw new StorageError(code, 'No replica has it now', { where: this.id, outcome: 'none', retryable: true });
  }
}

interface Flight {
  readonly next: number;
  readonly bytes: number;
  settle(error?: StorageError): void;
}

/** What one replica has been sent, one request at a time with all that has come together meanwhile. */
class Lane {
  readonly replica: Replica;
  pending: Run[] = [];
  busy = false;
  acknowledged: number;

  constructor(replica: Replica, base: number) {
    this.replica = replica;
    this.acknowledged = base;
  }
}

/** Writes to all replicas that took part in its creation, and acknowledges what two of them hold. */
export class QuorumWriter extends QuorumReader implements SegmentWriter {
  readonly ballot: number;
  failure: StorageError | undefined;
  /** A replica of the ensemble is behind: the next segment can do better. */
  #mustRoll = false;
  #end: number;
  #committed: number;
  #sealed = false;
  readonly #lanes: readonly Lane[];
  readonly #credit = new Credit(4 * 1024 * 1024);
  #flights: Flight[] = [];
  #idle: (() => void)[] = [];

  constructor(
    id: string,
    copy: Copy,
    ballot: number,
    ensemble: readonly Replica[],
    medium: QuorumMedium,
    caller: Caller,
  ) {
    super(id, copy, medium, caller);
    this.ballot = ballot;
    this.#end = copy.base;
    this.#committed = copy.base;
    this.#lanes = ensemble.map((replica) => new Lane(replica, copy.base));
  }

  override offsets(): SegmentOffsets {
    const end = this.failure === undefined ? this.#end : this.#committed;
    return { base: this.copy.base, committed: this.#committed, end, sealed: this.#sealed };
  }

  append(batches: readonly Uint8Array[], { base }: { readonly base: number }): Promise<{ readonly next: number }> {
    if (this.failure !== undefined) throw this.failure;
    if (base !== this.#end) throw new StorageError('OFFSET_MISMATCH', `${this.#end} is next`, { where: this.id });
    // an empty one takes anything, or core would roll for ever
    if (this.#mustRoll && this.#end > this.copy.base)
      throw new StorageError('SEGMENT_MUST_ROLL', 'A replica is missing', { where: this.id });
    const bytes = Buffer.concat(batches);
    this.#credit.take(bytes.length);
    const run = { ...spanOf(bytes), place: this.medium.shelf.put(bytes) };
    this.#end = run.next;
    return new Promise((resolve, reject) => {
      const settle = (error?: StorageError) => (error === undefined ? resolve({ next: run.next }) : reject(error));
      this.#flights.push({ next: run.next, bytes: bytes.length, settle });
      for (const lane of this.#lanes) {
        lane.pending.push(run);
        void this.#send(lane);
      }
    });
  }

  ready(bytes: number): Promise<void> | undefined {
    return this.failure === undefined ? this.#credit.ready(bytes) : Promise.reject(this.failure);
  }

  async flush(): Promise<void> {
    if (this.#flights.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async seal(): Promise<{ readonly end: number }> {
    await this.flush();
    if (this.failure !== undefined) throw this.failure;
    const end = this.#end;
    for (const lane of this.#lanes) await this.#send(lane);
    const { id, ballot, copy } = this;
    const answers = await this.medium.all(this.caller, (one) => {
      // it may have been away: what it lacks it is given
      const behind = this.#lanes.find(({ replica }) => replica === one)?.pending ?? [];
      return one.accept(id, { ...copy, runs: behind }, ballot, end);
    });
    if (answers.filter(({ value }) => value === 'ok').length < 2) {
      const fenced = answers.some(({ value }) => value === 'fenced');
      this.fail(
        new StorageError(fenced ? 'FENCED' : 'IO_ERROR', 'Two replicas did not take the end', { where: this.id }),
      );
      throw this.failure;
    }
    await decide(this.medium, this.caller, this.id, this.copy.uid, end);
    this.#sealed = true;
    return { end };
  }

  fail(error: StorageError): void {
    if (this.#sealed || this.failure !== undefined) return;
    this.failure = error;
    this.#credit.refuse(error);
    for (const { settle } of this.#flights.splice(0)) settle(error);
    this.#wake();
  }

  async #send(lane: Lane): Promise<void> {
    if (lane.busy) return;
    lane.busy = true;
    for (let tries = 0; lane.pending.length > 0 && this.failure === undefined; ) {
      const runs = [...lane.pending];
      const answer = await this.medium
        .one(this.caller, lane.replica, (one) => one.write(this.id, this.copy.uid, this.ballot, runs))
        .catch(() => undefined);
      if (answer === 'ok') {
        lane.pending = lane.pending.slice(runs.length);
        lane.acknowledged = runs.at(-1)?.next ?? lane.acknowledged;
        this.#advance();
        continue;
      }
      this.#mustRoll = true;
      if (answer === 'fenced') this.fail(new StorageError('FENCED', 'A replica takes no more', { where: this.id }));
      // two are enough, so it is left alone until it is needed
      if (answer === 'gap' || this.#flights.length === 0) break;
      if (++tries > TRIES) this.fail(new StorageError('IO_ERROR', 'Two replicas did not take it', { where: this.id }));
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    lane.busy = false;
  }

  #advance(): void {
    const [, second] = this.#lanes.map(({ acknowledged }) => acknowledged).sort((a, b) => b - a);
    if (second === undefined || this.failure !== undefined) return;
    this.#committed = Math.max(this.#committed, second);
    for (let first = this.#flights[0]; first !== undefined && first.next <= this.#committed; first = this.#flights[0]) {
      this.#flights.shift();
      this.#credit.give(first.bytes);
      first.settle();
    }
    if (this.#flights.length === 0) this.#wake();
  }

  #wake(): void {
    for (const wake of this.#idle.splice(0)) wake();
  }
}

/** Two replicas have taken the end: from here on one of them is enough to know it. */
export async function decide(
  medium: QuorumMedium,
  caller: Caller,
  id: string,
  uid: string,
  end: number,
): Promise<void> {
  const told = await medium.all(caller, (one) => one.decide(id, uid, end));
  if (told.length < 2)
    throw new StorageError('IO_ERROR', 'Two replicas did not learn the end', { where: id, retryable: true });
}
