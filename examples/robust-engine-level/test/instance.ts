import { settingsOf } from '@robustmq/conformance';
import {
  encodeBatch,
  nodeFileSystem,
  type OpenEngineInstance,
  openInstance,
  patchOffsetAndEpoch,
  type SegmentWriter,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import engine from '../src/index.ts';

export function open(dir: string): Promise<OpenEngineInstance> {
  return openInstance(engine, {
    instance: 'test',
    dir,
    config: settingsOf(engine),
    fs: nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: new MemoryMeta(),
    signal: new AbortController().signal,
  });
}

export async function write({ engine: open }: OpenEngineInstance, id: string, count: number): Promise<SegmentWriter> {
  const writer = await open.create(id, { base: 0, epoch: 1, config: {}, state: Buffer.from(id) });
  for (let base = 0; base < count; base++) {
    await writer.append([batchAt(base)], { base });
  }
  return writer;
}

export function batchAt(base: number): Uint8Array {
  const batch = encodeBatch([{ timestamp: base * 10, key: null, value: Buffer.alloc(500, `${base} `), headers: [] }]);
  patchOffsetAndEpoch(batch, base, 1);
  return batch;
}
