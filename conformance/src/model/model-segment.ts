import assert from 'node:assert/strict';
import { isStorageError, type SegmentReader, type SegmentWriter, type StorageEngine } from '@robustmq/core';
import type { Call } from './call.ts';
import type { Aborting, Made } from './commands.ts';
import { Oracle } from './oracle.ts';

/** What a writer may refuse without being told why, and go on. */
const REFUSALS = ['SEGMENT_MUST_ROLL', 'DISK_FULL', 'OFFSET_MISMATCH', 'ABORTED', 'BACKPRESSURE'] as const;

/** One segment as the model knows it, and what is in flight to it. */
export class ModelSegment {
  readonly id: string;
  readonly base: number;
  readonly state: Uint8Array;
  readonly oracle: Oracle;
  /** `orphan`: open, and its writer is gone. `sealing`: nobody has waited for the seal. */
  standing: 'open' | 'sealing' | 'orphan' | 'sealed' | 'lost' | 'deleted' = 'open';
  writer: SegmentWriter | undefined;
  /** Of a writer that has been fenced. */
  stale: SegmentWriter | undefined;
  epoch = 1;
  mustRoll = false;
  /** Something was done to it on purpose: appends may fail. */
  disturbed = false;
  readonly #late: (error: unknown) => void;
  #flights: Promise<void>[] = [];
  /** Grows when its process ends: a dead one tells nobody anything. */
  #life = 0;

  constructor(id: string, base: number, late: (error: unknown) => void) {
    this.id = id;
    this.base = base;
    this.state = Buffer.from(`state of ${id}`);
    this.oracle = new Oracle(base);
    this.#late = late;
  }

  async create(engine: StorageEngine): Promise<void> {
    const { base, epoch, state } = this;
    this.writer = await engine.create(this.id, { base, epoch, config: {}, state });
  }

  /** What became of appends that nobody waited for, or the next one would not know its place. */
  async clearDoubt(writer: SegmentWriter): Promise<void> {
    if (!this.oracle.doubtful) return;
    await this.settle();
    await writer.flush();
    this.oracle.settled(writer.offsets().end);
  }

  /** Calls an append, and looks at its answer whenever that comes. */
  append(writer: SegmentWriter, made: Made, abort: Aborting): void {
    const base = this.oracle.next;
    const stopped = new AbortController();
    if (abort === 'before') stopped.abort();
    const call = this.oracle.called(made.parts, abort === 'before' ? undefined : base);
    const options = abort === 'no' ? { base } : { base, signal: stopped.signal };
    void this.#watch(writer.append(made.batches, options), (result) => this.#settled(call, abort, base, result));
    if (abort === 'after') stopped.abort();
  }

  seal(): Promise<void> {
    const { writer } = this;
    this.standing = 'sealing';
    if (writer === undefined) return Promise.resolve();
    return this.#watch(writer.seal(), (result) => {
      if ('error' in result) return assert.ok(this.disturbed, `seal failed: ${String(result.error)}`);
      // recovery may have been faster, and given an end of its own
      if (this.standing === 'sealing') {
        if (!this.oracle.doubtful) assert.equal(result.value.end, this.oracle.next, 'the end of a seal');
        this.oracle.cut(result.value.end);
        this.standing = 'sealed';
      } else if (this.standing === 'sealed') assert.equal(result.value.end, this.oracle.next, 'the end of a late seal');
    });
  }

  async settle(): Promise<void> {
    const flights = this.#flights;
    this.#flights = [];
    await Promise.all(flights);
  }

  /** The process that wrote it is gone. */
  orphan({ crashed, lost }: { readonly crashed: boolean; readonly lost: boolean }): void {
    if (crashed) {
      this.#life++;
      this.#flights = [];
    }
    this.writer = undefined;
    this.stale = undefined;
    if (this.standing === 'deleted') return;
    if (lost) this.standing = 'lost';
    else if (this.standing !== 'sealed') this.standing = 'orphan';
  }

  async recover(engine: StorageEngine, epoch: number): Promise<void> {
    this.disturbed = true;
    const { end } = await engine.recover(this.id, { epoch });
    if (this.standing === 'sealed') assert.equal(end, this.oracle.next, 'recovered again, the end');
    this.epoch = epoch;
    this.oracle.cut(end);
    this.standing = 'sealed';
    this.stale = this.writer ?? this.stale;
    this.writer = undefined;
  }

  /** Everything that a reader or the writer can be asked. */
  async checkAll(reader: SegmentReader, maxBytes: number): Promise<void> {
    const { base, committed, end, sealed } = reader.offsets();
    if (this.standing === 'sealed')
      assert.deepEqual(
        [base, committed, end, sealed],
        [this.base, this.oracle.next, this.oracle.next, true],
        'offsets',
      );
    assert.ok(Buffer.from(await reader.state()).equals(this.state), 'the state has changed');
    for (let from = base; from < committed; ) {
      const read = await reader.read(from, { maxBytes });
      this.oracle.checkRead(from, maxBytes, read, [committed, reader.offsets().committed]);
      from = read.next;
    }
  }

  #settled(
    call: Call,
    abort: Aborting,
    base: number,
    result: { readonly value: { readonly next: number } } | { readonly error: unknown },
  ): void {
    if ('value' in result) {
      assert.notEqual(abort, 'before', 'an append was taken though it had been given up');
      this.oracle.acknowledged(call, base, result.value.next);
      return;
    }
    const { error } = result;
    assert.ok(isStorageError(error), `an append failed with ${String(error)}`);
    const refused = isStorageError(error, ...REFUSALS) && error.outcome === 'none';
    const asked = error.code === 'ABORTED' && abort !== 'no';
    // whoever gave up waiting is not told that the append was refused, and what was called behind it has no place then
    const behindDoubt = error.code === 'OFFSET_MISMATCH' && this.oracle.doubtful;
    const mayRefuse =
      error.code === 'SEGMENT_MUST_ROLL' || error.code === 'DISK_FULL' || call.fate === 'none' || behindDoubt;
    if (error.code === 'SEGMENT_MUST_ROLL') this.mustRoll = true;
    if (!asked && !this.disturbed)
      assert.ok(refused && mayRefuse, `append ${call.index} failed: ${error.code} (${error.outcome}) ${error.message}`);
    this.oracle.failed(call, error.outcome, refused);
  }

  #watch<T>(
    answer: Promise<T>,
    look: (result: { readonly value: T } | { readonly error: unknown }) => void,
  ): Promise<void> {
    const life = this.#life;
    const judge = (result: { readonly value: T } | { readonly error: unknown }): void => {
      if (life !== this.#life) return;
      try {
        look(result);
      } catch (violation) {
        this.#late(violation);
      }
    };
    const flight = answer.then(
      (value) => judge({ value }),
      (error: unknown) => judge({ error }),
    );
    this.#flights.push(flight);
    return flight;
  }
}
