import { mkdir } from 'node:fs/promises';
import {
  type EngineDefinition,
  encodeBatch,
  lockDirectory,
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
import type { Send } from './closed-loop.ts';

/** An engine without anything above it but core's wrapper: what an engine's author sees, and what the raw disk is compared with. */
export async function bareEngine(
  definition: EngineDefinition,
  dir: string,
  config: Readonly<Record<string, unknown>>,
): Promise<OpenEngineInstance> {
  await mkdir(dir, { recursive: true });
  return openInstance(definition, {
    instance: 'bench',
    dir,
    config,
    fs: nodeFileSystem,
    lock: lockDirectory,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: new MemoryMeta(),
    signal: new AbortController().signal,
  });
}

export function createWriters(instance: OpenEngineInstance, count: number): Promise<readonly SegmentWriter[]> {
  const create = (_: unknown, index: number) =>
    instance.engine.create(`s${index}`, { base: 0, epoch: 1, state: new Uint8Array(), config: {} });
  return Promise.all(Array.from({ length: count }, create));
}

/** Appends of one batch of one record each, by turns to all of the segments. */
export function engineAppends(writers: readonly SegmentWriter[], valueBytes: number): Send {
  const template = encodeBatch([{ timestamp: 1_700_000_000_000, key: null, value: Buffer.alloc(valueBytes, 'x') }]);
  const batches = new Map<number, Uint8Array[]>();
  const ends = writers.map((writer) => writer.offsets().end);
  let turn = 0;
  return (client, done) => {
    const index = turn++ % writers.length;
    const writer = writers[index];
    if (writer === undefined) return done(new Error('no writer'));
    const bytes = batches.get(client) ?? [Uint8Array.from(template)];
    batches.set(client, bytes);
    const append = () => {
      const base = ends[index] ?? 0;
      ends[index] = base + 1;
      for (const batch of bytes) patchOffsetAndEpoch(batch, base, 1);
      writer.append(bytes, { base }).then(() => done(), done);
    };
    const credit = writer.ready(template.length);
    if (credit === undefined) append();
    else void credit.then(append, done);
  };
}
