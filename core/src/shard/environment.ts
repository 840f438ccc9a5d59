import { StorageError } from '../errors.ts';
import type { EngineInstance, StorageOptions, StorageTuning } from '../storage-options.ts';
import type { Deadlines } from '../wait/deadlines.ts';
import type { Counter } from '../world.ts';
import type { ColdReads } from './cold-reads.ts';
import type { ReaderCache } from './reader-cache.ts';

/** What all shards of a node share. */
export interface ShardEnvironment extends Omit<StorageOptions, 'tuning' | 'policy' | 'busy'> {
  readonly tuning: StorageTuning;
  readonly deadlines: Deadlines;
  readonly readers: ReaderCache;
  readonly coldReads: ColdReads;
  readonly counters: ShardCounters;
  /** False for a segment that the newest manifest of its archive still names. */
  mayDelete(row: { readonly instance: string; readonly id: string }): boolean;
  /** Aborted when the node closes. */
  readonly signal: AbortSignal;
}

export interface ShardCounters {
  readonly appendedBytes: Counter;
  readonly appendedBatches: Counter;
  readonly duplicateBatches: Counter;
  readonly readBytes: Counter;
  readonly heldReads: Counter;
  readonly rolls: Counter;
  readonly recoveries: Counter;
  readonly redispatched: Counter;
  readonly lostOffsets: Counter;
  readonly rewrittenBytes: Counter;
  readonly deletedSegments: Counter;
  readonly movedSegments: Counter;
  readonly movedBytes: Counter;
  readonly failedMoves: Counter;
}

export const DEFAULT_TUNING: StorageTuning = {
  deleteGraceMs: 60_000,
  maintenanceIntervalMs: 5_000,
  recoverTimeoutMs: 30_000,
  shardWindowBytes: 32 * 1024 * 1024,
  movesAtOnce: 2,
  manifestIntervalMs: 60_000,
};

/** @throws ENGINE_UNKNOWN */
export function instanceOf(environment: ShardEnvironment, name: string): EngineInstance {
  const instance = environment.engines.get(name);
  if (instance === undefined)
    throw new StorageError('ENGINE_UNKNOWN', `no engine instance is named ${name}`, {
      hint: `Configured are: ${[...environment.engines.keys()].join(', ')}`,
    });
  return instance;
}

/** Waits on the node's clock; ends early, without error, when the node closes. */
export function pause(environment: ShardEnvironment, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      environment.signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = environment.clock.timer(delayMs, done);
    environment.signal.addEventListener('abort', done, { once: true });
    if (environment.signal.aborted) done();
  });
}
