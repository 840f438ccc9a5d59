import { type EngineDefinition, type EngineHealth, StorageError } from '@robustmq/core';
import { MemoryMeta, VirtualClock } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';
import { afterEach, describe, expect, it } from 'vitest';
import { Resting } from '../../src/shard/resting.ts';
import type { LogShard } from '../../src/shard/shard.ts';
import { batch, type Node, openInstanceOf, openMemoryInstance, openNode, shardOf } from './harness.ts';

const AWAY = new StorageError('STORE_UNAVAILABLE', 'the store is away');
const BROKEN = new StorageError('IO_ERROR', 'the disk is broken');

describe('What has failed', () => {
  it.each([
    ['passes by itself', AWAY, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]],
    ['does not', BROKEN, [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000]],
  ] as const)('rests twice as long each time: what %s', (_, error, rests) => {
    const resting = new Resting();
    for (const ms of rests) {
      resting.add('k', 7, error);
      expect(resting.until('k')).toBe(7 + ms);
    }
  });

  it('is woken once: when it fails again it rests its time, until it has been forgotten', () => {
    const resting = new Resting();
    expect(resting.wake('k')).toBe(false);
    resting.add('k', 0, AWAY);
    expect([resting.wake('k'), resting.has('k', 0)]).toEqual([true, false]);
    resting.add('k', 0, AWAY);
    expect([resting.wake('k'), resting.until('k')]).toEqual([false, 2000]);
    resting.keepOnly(new Set());
    resting.add('k', 0, AWAY);
    expect([resting.until('k'), resting.wake('k')]).toEqual([1000, true]);
  });
});

const nodes: Node[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

/** One sealed segment is due for an archive whose engine fails as it is told, and whose health is what it is told. */
async function archiveInTrouble() {
  const clock = new VirtualClock();
  const meta = new MemoryMeta();
  const store: { error: StorageError | undefined; tries: number; takesMs: number; tell(health: EngineHealth): void } = {
    error: AWAY,
    tries: 0,
    takesMs: 0,
    tell: () => {},
  };
  const definition: EngineDefinition = {
    ...(memoryEngine as EngineDefinition),
    // an archive has to
    capabilities: { ...memoryEngine.capabilities, durability: 'fsync' },
    open: async (ctx) => {
      store.tell = ctx.health;
      const engine = await (memoryEngine as EngineDefinition).open(ctx);
      const ingest = engine.ingest.bind(engine);
      engine.ingest = async (...words) => {
        store.tries++;
        await new Promise<void>((resolve) => void clock.timer(store.takesMs, resolve));
        if (store.error !== undefined) throw store.error;
        return await ingest(...words);
      };
      return engine;
    },
  };
  const engines = new Map([
    ['hot', await openMemoryInstance('hot', meta)],
    ['cold', await openInstanceOf(definition, 'cold', meta)],
  ]);
  const tuning = { maintenanceIntervalMs: 100, deleteGraceMs: 0 };
  const archive = { to: 'cold', after: 1, keepLocal: 0 };
  const node = await openNode({ meta, engines, clock, tuning, defaults: { engine: 'hot', archive } });
  nodes.push(node);
  const shard = (await shardOf(node.storage, 't')) as LogShard; // this adapter made it
  const appended = shard.append([batch(['a'])]);
  await clock.advance(1);
  await appended;
  await shard.log.rollNow();
  const isArchived = (): boolean => shard.log.rows.every(({ instance }) => instance === 'cold');
  return { clock, store, shard, isArchived, storage: node.storage };
}

describe('A move that failed because the store was away', () => {
  it('is made again as soon as the engine says that it is well, however long it was away', async () => {
    const { clock, store, isArchived, storage } = await archiveInTrouble();
    store.tell({ status: 'failed', detail: 'away' });
    await clock.advance(600_000);
    expect(store.tries).toBeGreaterThan(15);
    expect(store.tries).toBeLessThan(30);
    const { tries } = store;
    // in the middle of a rest
    while (store.tries === tries) await clock.advance(100);
    await clock.advance(1000);
    const [{ failed } = {}] = (await storage.archiveStatus()).shards;
    expect(failed?.retryInMs).toBeGreaterThan(25_000);
    store.error = undefined;
    store.tell({ status: 'ok', detail: '' });
    for (let ms = 0; ms < 50; ms++) await clock.advance(1);
    expect(isArchived()).toBe(true);
  });

  it('is made again after a second when nothing is heard of its health', async () => {
    const { clock, store, isArchived } = await archiveInTrouble();
    while (store.tries === 0) await clock.advance(10);
    store.error = undefined;
    await clock.advance(900);
    expect([store.tries, isArchived()]).toEqual([1, false]);
    await clock.advance(300);
    expect([store.tries, isArchived()]).toEqual([2, true]);
  });

  it('rests from when it failed, not from when it began', async () => {
    const { clock, store } = await archiveInTrouble();
    store.takesMs = 30_000;
    while (store.tries === 0) await clock.advance(10);
    await clock.advance(30_000 + 900);
    expect(store.tries).toBe(1);
    await clock.advance(300);
    expect(store.tries).toBe(2);
    await clock.advance(30_000);
  });

  it('costs no more by an engine that says again and again that it is well, and fails', async () => {
    const { clock, store } = await archiveInTrouble();
    for (let i = 0; i < 120; i++) {
      store.tell({ status: 'failed', detail: 'away' });
      await clock.advance(500);
      store.tell({ status: 'ok', detail: '' });
      await clock.advance(500);
    }
    expect(store.tries).toBeGreaterThan(5);
    expect(store.tries).toBeLessThan(10);
  });
});
