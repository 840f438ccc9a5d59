import {
  type EngineContext,
  type Meta,
  type StorageEngine,
  silentLogger,
  systemClock,
  unreadMetrics,
} from '@robustmq/core';
import { forEachBatch } from '@robustmq/core/batch';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pointerPrefix, segmentCodec, segmentKey } from '../src/meta/rows.ts';
import { openObjects } from '../src/open.ts';
import { batch } from './batches.ts';
import { backendOf } from './support/backend.ts';
import { Bucket } from './support/bucket.ts';
import { MemoryStore } from './support/memory-store.ts';
import { settingsOf } from './support/settings.ts';

const ID = 'orders-0-1';
const RUNS = 5;

const random = new SeededRandom(1);
const engines: StorageEngine[] = [];
let bucket: Bucket;
let meta: MemoryMeta;
let first: StorageEngine;

async function open(node: number, itsMeta: Meta): Promise<StorageEngine> {
  const ctx: EngineContext<ReturnType<typeof settingsOf>> = {
    instance: 'cold',
    node,
    dir: '/nowhere',
    config: settingsOf({ flushIntervalMs: 1, idleFlushMs: 1 }),
    fs: undefined as never, // it uses no files
    lock: () => Promise.reject(new Error('no files')),
    clock: systemClock,
    random,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: itsMeta,
    health: () => {},
    usage: () => {},
    signal: new AbortController().signal,
  };
  const store = new MemoryStore({ bucket, clock: systemClock, random: new SeededRandom(node) });
  const engine = await openObjects(ctx, backendOf(store));
  engines.push(engine);
  return engine;
}

/** Meta two rows a page; `pause` comes in front of the page of runs with this number. */
function interrupted(inner: Meta, pageOfRuns: number, pause: () => Promise<unknown>): Meta {
  let pages = 0;
  return {
    get: (key) => inner.get(key),
    list: async (options) => {
      if (options.prefix.startsWith('p/') && pages++ === pageOfRuns) await pause();
      return await inner.list({ ...options, limit: 2 });
    },
    commit: (mutation) => inner.commit(mutation),
    commitEach: (mutations) => inner.commitEach(mutations),
    watch: (options) => inner.watch(options),
  };
}

async function offsetsIn(engine: StorageEngine): Promise<number[]> {
  const reader = await engine.openReader(ID);
  const { base, end } = reader.offsets();
  const found: number[] = [];
  for (let at = base; at < end; ) {
    const { bytes, next } = await reader.read(at, { maxBytes: 1 << 20 });
    forEachBatch(bytes, ({ baseOffset }) => void found.push(baseOffset));
    expect(next, 'a read goes on').toBeGreaterThan(at);
    at = next;
  }
  await reader.close();
  return found;
}

async function uid(): Promise<string> {
  const row = await meta.get(segmentKey(ID));
  if (row === undefined) throw new Error('no row');
  return segmentCodec.decode(row.value, row.key).uid;
}

beforeEach(async () => {
  bucket = new Bucket({ clock: systemClock, random });
  meta = new MemoryMeta();
  first = await open(1, meta);
  const writer = await first.create(ID, { base: 0, epoch: 1, config: {}, state: new Uint8Array(0) });
  // each in an object of its own
  for (let base = 0; base < RUNS; base++) await writer.append([batch({ base })], { base });
  expect((await meta.list({ prefix: pointerPrefix(await uid()) })).entries).toHaveLength(RUNS);
  await writer.seal();
});

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

test.each([0, 1, 2])(
  'a segment that moves into its image in front of page %d of its runs is read whole',
  async (page) => {
    const second = await open(
      2,
      interrupted(meta, page, async () => await first.shelf?.place(ID)),
    );
    expect(await offsetsIn(second)).toEqual([0, 1, 2, 3, 4]);
  },
);

test.each([0, 1, 2])('one that another node moves, in front of page %d, gets one place', async (page) => {
  const second = await open(
    2,
    interrupted(meta, page, async () => await first.shelf?.place(ID)),
  );
  expect(await second.shelf?.place(ID)).toEqual(await first.shelf?.place(ID));
  expect(await offsetsIn(second)).toEqual([0, 1, 2, 3, 4]);
});

test.each([0, 1, 2])('one that moves in front of page %d while it is deleted is gone', async (page) => {
  const second = await open(
    2,
    interrupted(meta, page, async () => await first.shelf?.place(ID).catch(() => {})),
  );
  await second.delete(ID);
  await expect(second.openReader(ID)).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await expect(first.openReader(ID)).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
});

test.each([0, 2, 4])('a run that Meta has lost, number %d, is CORRUPT and not an end', async (lost) => {
  const { entries } = await meta.list({ prefix: pointerPrefix(await uid()) });
  await meta.commit({ id: 'x', deletes: [entries[lost]?.key ?? ''] });
  await expect(first.openReader(ID)).rejects.toMatchObject({ code: 'CORRUPT', where: ID });
});
