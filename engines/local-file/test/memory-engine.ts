import { type Clock, type EngineHealth, type Metrics, silentLogger, systemClock, unreadMetrics } from '@robustmq/core';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import type { LocalFileEngine } from '../src/engine.ts';
import { openLocalFile } from '../src/open.ts';
import type { LocalFileSettings } from '../src/settings.ts';
import type { MemoryDisk } from './memory-disk.ts';

/** Small files, and none of them prepared ahead but when it is asked for. */
export const TINY: Partial<LocalFileSettings> = {
  walFileBytes: 72 * 1024,
  walFiles: 6,
  ringBytes: 64 * 1024,
  checkpointBytes: 1 << 30,
  reserveBytes: 0,
  tailBytes: 1024 * 1024,
  indexIntervalBytes: 4096,
  maxOpenFiles: 16,
};

export interface InMemory {
  readonly engine: LocalFileEngine;
  readonly health: EngineHealth[];
  /** How many locks of the directory are held. */
  readonly locks: { held: number };
  readonly logged: string[];
}

/**
 * The engine on a disk in memory: a start takes a millisecond, every step can fail. The test that uses it writes the log without a
 * thread: `vi.mock('../src/wal/wal-worker.ts', () => import('./inline-wal-worker.ts'))`.
 */
export async function openInMemory(
  disk: MemoryDisk,
  options: {
    readonly config?: Partial<LocalFileSettings>;
    readonly clock?: Clock;
    readonly locks?: { held: number };
    readonly logged?: string[];
    readonly seed?: number;
    readonly metrics?: Metrics;
  } = {},
): Promise<InMemory> {
  const health: EngineHealth[] = [];
  const { locks = { held: 0 }, logged = [], clock = systemClock } = options;
  const log = (level: string) => (_: unknown, message?: string) => void logged.push(`${level}: ${message}`);
  const engine = await openLocalFile({
    instance: 'test',
    dir: '/r',
    config: { ...TINY, ...options.config },
    fs: disk.fs,
    lock: async () => {
      locks.held++;
      return { release: async () => void locks.held-- };
    },
    clock,
    random: new SeededRandom(options.seed ?? 1),
    logger: { ...silentLogger, error: log('error'), warn: log('warn'), info: log('info') },
    metrics: options.metrics ?? unreadMetrics,
    meta: new MemoryMeta(),
    health: (report) => health.push(report),
    signal: new AbortController().signal,
    node: 1,
    usage: () => {},
  });
  return { engine, health, locks, logged };
}
