import {
  type Clock,
  type EngineDefinition,
  openInstance,
  openStorage,
  type Storage,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';

/** Core's storage of one node, with Meta and the engine in memory. */
export async function openRealStorage({ clock = systemClock }: { clock?: Clock } = {}): Promise<Storage> {
  const meta = new MemoryMeta();
  const world = { clock, random: systemRandom, logger: silentLogger, metrics: unreadMetrics, meta };
  // the table of engines holds definitions of any config
  const engine = await openInstance(memoryEngine as EngineDefinition, {
    ...world,
    ...{ instance: 'memory', dir: '/nowhere', config: { limitBytes: 256 * 1024 * 1024 } },
    fs: NO_FILES,
    lock: () => Promise.reject(new Error('the memory engine locks nothing')),
    signal: new AbortController().signal,
  });
  return openStorage({
    ...world,
    nodeId: 1,
    engines: new Map([['memory', engine]]),
    policy: {
      ...{ rules: [], autoCreate: true },
      defaults: {
        ...{ engine: 'memory', engineSettings: {}, shards: 1, cleanup: 'delete' },
        ...{ deleteRetentionMs: 86_400_000, maxMessageBytes: 1_048_576 },
        retention: { ms: -1, bytes: -1 },
        segment: { bytes: 64 * 1024 * 1024, ms: 3_600_000 },
      },
    },
  });
}

// the memory engine uses no files
const NO_FILES = new Proxy({} as never, {
  get: (_, key) => () => Promise.reject(new Error(`no files: ${String(key)}`)),
});
