import type { AppendResult, ReadOptions, SegmentInfo, Shard, ShardOffsets, ShardRead, Topic } from '../adapter.ts';
import type { StorageError } from '../errors.ts';
import { StorageError as Failure } from '../errors.ts';
import { Waiter } from '../wait/waiter.ts';
import { epochStarts, type SegmentRow } from './chain.ts';
import type { ShardLog } from './log.ts';
import { isNearAt, offsetsOf, readChain, timestampLookup } from './reading.ts';
import { trimTo } from './retention.ts';

/** What brokers hold: checks, waits and hands on to the log. */
export class LogShard implements Shard {
  readonly log: ShardLog;

  constructor(log: ShardLog) {
    this.log = log;
  }

  get topic(): Topic {
    return this.log.topic;
  }

  get index(): number {
    return this.log.index;
  }

  get owner(): number {
    return this.log.environment.nodeId;
  }

  get unavailable(): StorageError | undefined {
    return this.log.refusal();
  }

  append(batches: readonly Uint8Array[], options: { readonly signal?: AbortSignal } = {}): Promise<AppendResult> {
    return this.log.append(batches, options.signal);
  }

  ready(_bytes: number): Promise<void> | undefined {
    return this.log.ready();
  }

  async read(from: number, options: ReadOptions): Promise<ShardRead> {
    const { log } = this;
    await log.opened();
    const maxWaitMs = options.maxWaitMs ?? 0;
    if (maxWaitMs > 0 && from === log.committed) await this.#waitFor(from, maxWaitMs, options.signal);
    return readChain(log, from, options);
  }

  isNear(from: number): boolean {
    return isNearAt(this.log, from);
  }

  async offsets(): Promise<ShardOffsets> {
    await this.log.opened();
    return offsetsOf(this.log);
  }

  async offsetForTimestamp(
    timestamp: number,
  ): Promise<{ readonly offset: number; readonly timestamp: number } | undefined> {
    await this.log.opened();
    return timestampLookup(this.log, timestamp);
  }

  async endOffsetForEpoch(epoch: number): Promise<{ readonly epoch: number; readonly end: number }> {
    const { log } = this;
    await log.opened();
    const rows: readonly SegmentRow[] = log.open === undefined ? log.rows : [...log.rows, log.open.row];
    const starts = epochStarts(rows);
    const index = starts.findLastIndex((start) => start.epoch <= epoch);
    const found = starts[index];
    if (found === undefined) return { epoch: -1, end: -1 };
    return { epoch: found.epoch, end: starts[index + 1]?.base ?? log.committed };
  }

  async trim(before: number): Promise<number> {
    await this.log.opened();
    return trimTo(this.log, before);
  }

  async segments(): Promise<readonly SegmentInfo[]> {
    const { log } = this;
    await log.opened();
    const open = log.open === undefined ? [] : [{ ...log.open.row, bytes: log.open.stats.bytes }];
    return [...log.deleting, ...log.rows, ...open].map((row) => ({
      id: row.id,
      instance: row.instance,
      state: row.state,
      base: row.base,
      end: row.end >= 0 ? row.end : undefined,
      epoch: row.epoch,
      bytes: row.bytes,
      ...(row.kept === true && row.deleteAfter !== undefined ? { keptUntil: row.deleteAfter } : {}),
    }));
  }

  async #waitFor(from: number, maxWaitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { log } = this;
    const { clock, deadlines } = log.environment;
    const until = clock.monotonic() + maxWaitMs;
    while (log.committed === from && log.refusal() === undefined && log.logStart <= from) {
      const left = until - clock.monotonic();
      if (left <= 0) return;
      if (signal?.aborted) throw new Failure('ABORTED', 'the wait was aborted', { where: log.where });
      await new Waiter([log.waiters], deadlines, left, signal).done;
    }
  }
}
