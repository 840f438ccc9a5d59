/**
 * What Meta must know before data lies somewhere, and what it is told afterwards. Nothing here is waited for per append: the row of the next
 * segment is prepared ahead, offsets are reserved in large steps, and what was sealed rides along with the next commit.
 */
import { isStorageError } from '../errors.ts';
import type { EngineInstance } from '../storage-options.ts';
import { type HeadRow, type SegmentRow, segmentId } from './chain.ts';
import type { ChainChange, ChainStore } from './chain-store.ts';
import type { ShardEnvironment } from './environment.ts';

/** Offsets reserved in Meta at a time, at least; more where they are used up fast. */
export const RESERVE_STEP: number = 1 << 20;
/** Rows changed by one commit. */
const MAX_ROWS = 100;

export class ChainRecorder {
  readonly #environment: ShardEnvironment;
  readonly #store: ChainStore;
  readonly #topicId: string;
  readonly #shard: number;
  #nextSeq = 1;
  #reserved = 0;
  #reserving: Promise<void> | undefined;
  #lastReservedAt = 0;
  #prepared: SegmentRow | undefined;
  #preparing: Promise<void> | undefined;
  /** Sealed rows, and rows of segments that were never used: Meta learns of them with the next commit. */
  #unrecorded: SegmentRow[] = [];
  #spent: SegmentRow[] = [];

  constructor(environment: ShardEnvironment, store: ChainStore, topicId: string, shard: number) {
    this.#environment = environment;
    this.#store = store;
    this.#topicId = topicId;
    this.#shard = shard;
  }

  /** Every offset below this may be given out. */
  get reserved(): number {
    return this.#reserved;
  }

  loaded(rows: readonly SegmentRow[], head: HeadRow): void {
    this.#nextSeq = rows.reduce((highest, row) => Math.max(highest, row.seq + 1), head.nextSeq);
    this.#reserved = head.reserved;
  }

  /** A sequence number and id for a segment. `head` must be committed with the first row that uses it. */
  takeSeq(): { seq: number; id: string; head: Partial<HeadRow> } {
    const seq = this.#nextSeq++;
    return { seq, id: segmentId(this.#topicId, this.#shard, seq), head: { nextSeq: this.#nextSeq } };
  }

  sealed(row: SegmentRow): void {
    this.#unrecorded.push(row);
  }

  spent(row: SegmentRow): void {
    this.#spent.push(row);
  }

  /** Commits a change together with what Meta has not been told yet; then what was never used is deleted. */
  async record(change: ChainChange = {}): Promise<void> {
    const unrecorded = this.#unrecorded;
    const spent = this.#spent;
    this.#unrecorded = [];
    this.#spent = [];
    const puts = [...unrecorded, ...(change.puts ?? [])];
    const deletes = [...spent.map((row) => row.seq), ...(change.deletes ?? [])];
    if (puts.length + deletes.length === 0 && change.head === undefined) return;
    try {
      await this.#store.commit({ ...change, puts, deletes });
    } catch (error) {
      this.#unrecorded.unshift(...unrecorded);
      this.#spent.unshift(...spent);
      throw error;
    }
    for (const row of spent) await this.deleteUnused(row);
  }

  /** Takes the ownership where nothing is to be recovered: epoch, first reservation and the row of the next segment are one commit. */
  async takeOver(head: Partial<HeadRow>, next: number, row: SegmentRow | undefined): Promise<void> {
    const reserved = Math.max(this.#reserved, next + RESERVE_STEP);
    await this.#store.commit({
      head: { ...head, reserved, nextSeq: this.#nextSeq },
      puts: row === undefined ? [] : [row],
    });
    this.#reserved = reserved;
    this.#prepared = row;
  }

  /** Commits what recovery found. It may be more than one commit takes: each piece leaves a chain that can be recovered again. */
  async recovered(
    change: { head: Partial<HeadRow>; puts: readonly SegmentRow[]; deletes: readonly SegmentRow[] },
    end: number,
  ): Promise<void> {
    const reserved = Math.max(this.#reserved, end + RESERVE_STEP);
    const puts = [...change.puts];
    const deletes = change.deletes.map((row) => row.seq);
    while (puts.length + deletes.length > MAX_ROWS) {
      if (puts.length > 0) await this.#store.commit({ puts: puts.splice(0, MAX_ROWS) });
      else await this.#store.commit({ deletes: deletes.splice(0, MAX_ROWS) });
    }
    await this.#store.commit({ head: { ...change.head, reserved, nextSeq: this.#nextSeq }, puts, deletes });
    this.#reserved = reserved;
  }

  newRow(instance: EngineInstance, epoch: number): SegmentRow {
    const { seq, id } = this.takeSeq();
    return {
      seq,
      id,
      instance: instance.name,
      incarnation: instance.engine.incarnation,
      state: 'PREPARED',
      base: -1,
      end: -1,
      epoch,
      bytes: 0,
      minTs: -1,
      maxTs: -1,
      appendMaxTs: 0,
      crc: 0,
    };
  }

  /** Tells Meta of a segment that will be needed soon. */
  prepare(instance: EngineInstance, epoch: number, failed: (error: unknown) => void): void {
    if (this.#prepared !== undefined || this.#preparing !== undefined) return;
    const row = this.newRow(instance, epoch);
    this.#preparing = this.#store
      .commit({ head: { nextSeq: this.#nextSeq }, puts: [row] })
      .then(() => {
        this.#prepared = row;
      }, failed)
      .finally(() => {
        this.#preparing = undefined;
      });
  }

  /** A row that Meta knows, for a segment on `instance`. */
  async takePrepared(instance: EngineInstance, epoch: number): Promise<SegmentRow> {
    await this.#preparing;
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared?.instance === instance.name && prepared.incarnation === instance.engine.incarnation) return prepared;
    if (prepared !== undefined) this.spent(prepared);
    const row = this.newRow(instance, epoch);
    await this.record({ head: { nextSeq: this.#nextSeq }, puts: [row] });
    return row;
  }

  /** The segment of a row was certainly not created: the row serves the next try. */
  giveBack(row: SegmentRow): void {
    this.#prepared = row;
  }

  /** Nothing more will be appended: a prepared row is of no use. */
  async close(): Promise<void> {
    await this.#preparing;
    if (this.#prepared !== undefined) this.spent(this.#prepared);
    this.#prepared = undefined;
    await this.record();
  }

  /** Fewer than half a step of reserved offsets are left behind `next`, and no more are on their way. */
  isRunningLow(next: number): boolean {
    return this.#reserving === undefined && next + RESERVE_STEP / 2 > this.#reserved;
  }

  /** Reserves more offsets, once they {@link isRunningLow}. */
  reserve(next: number, done: () => void, failed: (error: unknown) => void): void {
    const used = next - this.#lastReservedAt;
    this.#lastReservedAt = next;
    const reserved = next + Math.max(RESERVE_STEP, 4 * used);
    this.#reserving = this.#store
      .commit({ head: { reserved } })
      .then(() => {
        this.#reserved = reserved;
      }, failed)
      .finally(() => {
        this.#reserving = undefined;
        done();
      });
  }

  async deleteUnused(row: SegmentRow): Promise<void> {
    try {
      await this.#environment.engines.get(row.instance)?.engine.delete(row.id);
    } catch (error) {
      if (!isStorageError(error, 'CLOSED'))
        this.#environment.logger.warn({ segment: row.id, err: error }, 'an empty segment could not be deleted');
    }
  }
}
