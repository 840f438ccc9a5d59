import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { settingsOf } from '@robustmq/conformance';
import {
  encodeBatch,
  type FileSystem,
  nodeFileSystem,
  type OpenEngineInstance,
  openInstance,
  patchOffsetAndEpoch,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import engine from '../src/index.ts';

export const CREATE = { base: 0, epoch: 1, config: {}, state: new Uint8Array(0) };

export async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'sqlite-'));
  t.after(() => rm(dir, { recursive: true }));
  return dir;
}

export function open(dir: string, fs: FileSystem = nodeFileSystem): Promise<OpenEngineInstance> {
  return openInstance(engine, {
    instance: 'test',
    dir,
    config: settingsOf(engine),
    fs,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: new MemoryMeta(),
    signal: new AbortController().signal,
  });
}

export function batchAt(base: number): Uint8Array {
  const batch = encodeBatch([{ timestamp: 0, key: null, value: Buffer.alloc(500, 'x'), headers: [] }]);
  patchOffsetAndEpoch(batch, base, 1);
  return batch;
}

/** The files as they are while the engine runs: what a killed process leaves. */
export async function written(t: TestContext, count: number): Promise<string> {
  const place = await directory(t);
  const copy = await directory(t);
  const instance = await open(place);
  try {
    const proof = join(place, 'segments.proof');
    const writer = await instance.engine.create('s', CREATE);
    for (let base = 0; base < count - 1; base++) await writer.append([batchAt(base)], { base });
    const unproven = await readFile(proof);
    await writer.append([batchAt(count - 1)], { base: count - 1 });
    // it proves in quiet moments only
    while ((await readFile(proof)).equals(unproven)) await sleep(5);
    for (const name of ['segments.db', 'segments.db-wal', 'segments.proof'])
      await cp(join(place, name), join(copy, name));
    return copy;
  } finally {
    await instance.close();
  }
}
