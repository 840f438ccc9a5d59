import { crc32c } from '@node-rs/crc32';
import {
  type EngineHealth,
  guardEngine,
  patchOffsetAndEpoch,
  type StorageEngine,
  silentLogger,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta, SeededRandom, VirtualClock } from '@robustmq/core/testing';
import memory from '@robustmq/engine-memory';

export const MiB: number = 1024 * 1024;

export async function open(limitBytes: number, seed = 1): Promise<{ engine: StorageEngine; health: EngineHealth[] }> {
  const health: EngineHealth[] = [];
  const random = new SeededRandom(seed);
  const clock = new VirtualClock();
  const engine = await memory.open({
    instance: 'ram',
    dir: '',
    config: { limitBytes },
    get fs(): never {
      throw new Error('memory needs no files');
    },
    lock: () => Promise.reject(new Error('memory needs no directory')),
    clock,
    random,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: new MemoryMeta(),
    health: (report) => void health.push(report),
    signal: new AbortController().signal,
    node: 1,
    usage: () => {},
  });
  return { engine: guardEngine(engine, memory, { instance: 'ram', clock, metrics: unreadMetrics }), health };
}

export const create = { epoch: 1, config: {}, state: new Uint8Array(0) };

export function batch(base: number, size = 100, maxTimestamp = 1000): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setInt32(8, size - 12);
  view.setInt8(16, 2);
  view.setBigInt64(35, BigInt(maxTimestamp));
  view.setInt32(57, 1);
  view.setUint32(17, crc32c(bytes.subarray(21)) >>> 0);
  patchOffsetAndEpoch(bytes, base, 0);
  return bytes;
}
