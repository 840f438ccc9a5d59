import {
  type EngineDefinition,
  type FileSystem,
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
import { afterEach } from 'vitest';

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** The storage layer as a node has it, on the memory engine. */
export async function realStorage(): Promise<Storage> {
  const meta = new MemoryMeta();
  const world = { clock: systemClock, random: systemRandom, logger: silentLogger, metrics: unreadMetrics, meta };
  const instance = await openInstance(memoryEngine as EngineDefinition, {
    ...world,
    instance: 'memory',
    dir: '/nowhere',
    config: { limitBytes: 256 * 1024 * 1024 },
    // the memory engine uses no files
    fs: {} as FileSystem,
    lock: () => Promise.reject(new Error('no files')),
    signal: new AbortController().signal,
  });
  const storage = await openStorage({
    ...world,
    nodeId: 1,
    engines: new Map([['memory', instance]]),
    policy: {
      rules: [],
      autoCreate: true,
      defaults: {
        engine: 'memory',
        engineSettings: {},
        shards: 1,
        retention: { ms: -1, bytes: -1 },
        segment: { bytes: 1024 * 1024, ms: 3_600_000 },
        cleanup: 'delete',
        deleteRetentionMs: 86_400_000,
        maxMessageBytes: 1024 * 1024,
      },
    },
  });
  open.push(async () => {
    await storage.close();
    await instance.engine.close();
  });
  return storage;
}
