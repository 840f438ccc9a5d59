import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  type EngineHealth,
  type FileSystem,
  lockDirectory,
  nodeFileSystem,
  type SegmentWriter,
  type StorageEngine,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { FaultPlan, faultyFileSystem, MemoryMeta } from '@robustmq/core/testing';
import { onTestFinished } from 'vitest';
import localFile, { type LocalFileSettings } from '../src/index.ts';

export { batch } from './batches.ts';

/** Small enough for a test, in the proportions of the real ones. */
export const SMALL: Partial<LocalFileSettings> = {
  walFileBytes: 512 * 1024,
  walFiles: 4,
  ringBytes: 256 * 1024,
  checkpointBytes: 512 * 1024,
  reserveBytes: 0,
  tailBytes: 1024 * 1024,
  indexIntervalBytes: 4096,
  maxOpenFiles: 16,
};

export interface Opened {
  readonly engine: StorageEngine;
  readonly health: EngineHealth[];
}

export async function temporaryDirectory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'local-file-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

export async function open(
  dir: string,
  options: {
    readonly fs?: FileSystem;
    readonly config?: Partial<LocalFileSettings>;
    readonly lock?: boolean;
    readonly clock?: Clock;
  } = {},
): Promise<Opened> {
  const health: EngineHealth[] = [];
  const engine = await localFile.open({
    instance: 'test',
    dir,
    config: { ...SMALL, ...options.config },
    fs: options.fs ?? nodeFileSystem,
    lock: options.lock === false ? async () => ({ release: async () => {} }) : lockDirectory,
    clock: options.clock ?? systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: new MemoryMeta(),
    health: (report) => health.push(report),
    signal: new AbortController().signal,
    node: 1,
    usage: () => {},
  });
  return { engine, health };
}

export function faulty(): { readonly fs: FileSystem; readonly plan: FaultPlan } {
  const plan = new FaultPlan();
  return { fs: faultyFileSystem(nodeFileSystem, plan), plan };
}

export const STATE: Uint8Array = Buffer.from('a fold');

export function create(engine: StorageEngine, id: string, base = 0, epoch = 1): Promise<SegmentWriter> {
  return engine.create(id, { base, epoch, config: {}, state: STATE });
}

/** Everything committed in [from, end), read in small pieces. */
export async function readAll(
  reader: {
    offsets(): { readonly committed: number };
    read(from: number, options: { readonly maxBytes: number }): Promise<{ bytes: Uint8Array; next: number }>;
  },
  from: number,
  maxBytes = 1000,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (let at = from; at < reader.offsets().committed; ) {
    const { bytes, next } = await reader.read(at, { maxBytes });
    if (next <= at) throw new Error(`the read at ${at} went on at ${next}`);
    pieces.push(bytes);
    at = next;
  }
  return Buffer.concat(pieces);
}

/** The directory of an engine that rests, as a kill -9 at this moment would leave it. */
export async function snapshot(dir: string): Promise<string> {
  for (;;) {
    const before = await moment(dir);
    const copy = await copyOf(dir);
    // a crash takes one moment of the disk; a copy takes some time, in which a checkpoint may let go of a log file
    if ((await moment(dir)) === before) return copy;
  }
}

async function moment(dir: string): Promise<string> {
  const checkpoint = await readFile(join(dir, 'checkpoint'), 'latin1').catch(() => '');
  return `${checkpoint} ${(await readdir(join(dir, 'wal'))).join()}`;
}

async function copyOf(dir: string): Promise<string> {
  const copy = await temporaryDirectory();
  const filter = (path: string): boolean => !path.endsWith('.tmp');
  // what is older points to what is newer, never the other way round
  for (const part of ['INSTANCE', 'checkpoint', 'wal', 'segments'])
    await cp(join(dir, part), join(copy, part), { recursive: true, filter }).catch((error: { code?: string }) => {
      if (error.code !== 'ENOENT') throw error;
    });
  return copy;
}
