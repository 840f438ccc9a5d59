import { type EngineContext, type EngineHealth, type StorageError, silentLogger, unreadMetrics } from '@robustmq/core';
import { MemoryMeta, SeededRandom, VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import type { ObjectBackend } from '../src/backend.ts';
import { openObjects } from '../src/open.ts';
import type { ObjectSettings } from '../src/settings.ts';
import type { CallOptions } from '../src/store/port.ts';
import { PROBE_REQUESTS } from '../src/store/probe.ts';
import { batch } from './batches.ts';
import { backendOf, fileBackendOf } from './support/backend.ts';
import { Bucket } from './support/bucket.ts';
import { MemoryFiles } from './support/memory-files.ts';
import { MemoryStore, type MemoryStoreOptions } from './support/memory-store.ts';
import { settingsOf } from './support/settings.ts';

/** An instance on a bucket in memory, and what it tells core. */
function world(own: Partial<MemoryStoreOptions> = {}, settings: Partial<ObjectSettings> = {}) {
  return worldOn((options) => {
    const store = new MemoryStore({ ...options, ...own });
    return { store, backend: backendOf(store) };
  }, settings);
}

function worldOn<S extends MemoryStore>(
  connect: (options: MemoryStoreOptions) => { readonly store: S; readonly backend: ObjectBackend },
  settings: Partial<ObjectSettings>,
) {
  const clock = new VirtualClock();
  const random = new SeededRandom(1);
  const bucket = new Bucket({ clock, random });
  const { store, backend } = connect({ bucket, clock, random });
  const hurry = new AbortController();
  const health: EngineHealth[] = [];
  const ctx: EngineContext<ObjectSettings> = {
    instance: 'cold',
    node: 1,
    dir: '/nowhere',
    config: settingsOf(settings),
    // it has no files
    fs: undefined as never,
    lock: () => Promise.reject(new Error('it locks nothing')),
    clock,
    random,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: new MemoryMeta(),
    health: (report) => health.push(report),
    usage: () => {},
    signal: hurry.signal,
  };
  return { clock, bucket, store, hurry, health, open: () => openObjects(ctx, backend) };
}

const CREATE = { base: 0, epoch: 1, config: {}, state: new Uint8Array(0) };

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'none',
    (error: StorageError) => error.code,
  );
}

test.each([
  ['probes the store', 960, 1 + PROBE_REQUESTS],
  ['leaves the probe out', 950, 1],
])('with what a budget gives at a start an instance %s and waits for none', async (_, putsPerHour, puts) => {
  const { clock, store, open } = world({}, { requestBudget: { putsPerHour, getsPerHour: 60 } });
  const engine = await open();
  // the mark of a new store beside it, read before and after
  expect(store.counts).toMatchObject({ PUT: puts, GET: 2 });
  expect(clock.monotonic()).toBe(0);
  await engine.close();
});

test('a node that stops in a hurry waits neither for a store that is away nor for its patience', async () => {
  const { clock, store, hurry, open } = world();
  const engine = await open();
  const writer = await engine.create('a-1', CREATE);
  store.down = true;
  const appending = codeOf(writer.append([batch({ base: 0 })], { base: 0 }));
  const ingesting = codeOf(
    engine.ingest(
      'a-2',
      { ...CREATE, end: 1, uid: 'u' },
      (async function* () {
        yield batch({ base: 0 });
      })(),
    ),
  );
  await clock.advance(1000);
  hurry.abort();
  expect(await Promise.all([appending, ingesting])).toEqual(['CLOSED', 'CLOSED']);
  await engine.close();
  expect(store.waiting).toBe(0);
  expect(clock.pending).toBe(0);
});

test('a node starts without its store long before the patience of its requests is over', async () => {
  const { clock, store, open } = world({}, { patienceMs: 600_000, requestTimeoutMs: 1000 });
  store.down = true;
  let opened: Awaited<ReturnType<typeof open>> | undefined;
  const opening = open().then((engine) => {
    opened = engine;
  });
  for (let i = 0; i < 100; i++) await clock.advance(100);
  expect(opened).toBeDefined();
  store.down = false;
  for (let i = 0; i < 100; i++) await clock.advance(100);
  await opened?.create('a-1', CREATE);
  await opened?.close();
  await opening;
});

test('what failures have left in the work folder goes in the next rounds of housekeeping, without anything else to delete', async () => {
  class Left extends MemoryFiles {
    files = 0;
    override get left(): number {
      return this.files;
    }
    override async tidyUp(options: CallOptions): Promise<void> {
      await this.request('DELETE', 'left', options, () => void this.files--);
    }
  }
  const { clock, store, open } = worldOn(
    (options) => {
      const files = new Left(options);
      return { store: files, backend: fileBackendOf(files, 1000) };
    },
    { patienceMs: 1000 },
  );
  const engine = await open();
  const maintain = async (): Promise<void> => {
    const round = engine.maintain?.({ requestBudget: 10, signal: new AbortController().signal });
    for (let i = 0; i < 50; i++) await clock.advance(100);
    await round;
  };
  const { requests } = store;
  await maintain();
  expect(store.requests).toBe(requests);
  store.files = 2;
  store.down = true;
  await maintain();
  expect(store.files).toBe(2);
  store.down = false;
  await maintain();
  await maintain();
  expect(store.files).toBe(0);
  await engine.close();
});

test('housekeeping makes no more requests for what a former life has left than it is given', async () => {
  const { clock, store, open } = worldOn(
    (options) => {
      const files = new MemoryFiles(options);
      return { store: files, backend: fileBackendOf(files, 1000) };
    },
    { orphanGraceMs: 1000 },
  );
  let engine = await open();
  const requestsAfterAKill = async (...budgets: number[]): Promise<number[]> => {
    engine = await open();
    await clock.advance(2000);
    const made: number[] = [];
    for (const requestBudget of budgets) {
      const { requests } = store;
      const round = engine.maintain?.({ requestBudget, signal: new AbortController().signal });
      for (let i = 0; i < 50; i++) await clock.advance(10);
      await round;
      made.push(store.requests - requests);
    }
    return made;
  };
  const [all = 0, more] = await requestsAfterAKill(100, 100);
  expect(all).toBeGreaterThan(1);
  expect(more).toBe(0);
  expect(await requestsAfterAKill(0, 2, all - 3, 100, 100)).toEqual([0, 2, all - 3, 1, 0]);
  await engine.close();
});

describe('health', () => {
  test('of an instance that starts without its store fails, and is well when the store is there', async () => {
    const { clock, store, health, open } = world({}, { patienceMs: 1000 });
    store.down = true;
    const opening = open();
    for (let i = 0; i < 50; i++) await clock.advance(100);
    const engine = await opening;
    expect(health.at(-1)).toMatchObject({ status: 'failed', detail: expect.stringContaining('STORE_UNAVAILABLE') });
    store.down = false;
    for (let i = 0; i < 200; i++) await clock.advance(100);
    expect(health.at(-1)).toEqual({ status: 'ok', detail: '' });
    await engine.create('a-1', CREATE);
    await engine.close();
  });
});
