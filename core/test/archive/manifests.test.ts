import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { archivedBatches, type EngineInstance, StorageError } from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { SeededRandom } from '@robustmq/core/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ShelfWorld } from './shelf-world.ts';

let world: ShelfWorld;
afterEach(async () => await world.remove());

const covers = async (from: number, to: number): Promise<void> =>
  vi.waitFor(
    async () => {
      const shard = (await world.manifest()).topics[0]?.shards[0];
      expect([shard?.logStart, shard?.segments.at(-1)?.end]).toEqual([from, to]);
    },
    { timeout: 15_000, interval: 20 },
  );

describe('Manifests', () => {
  it('name what lies in the archive, and the store alone gives every record back', async () => {
    world = await ShelfWorld.open();
    await world.fill(0, 5);
    await covers(0, 5);
    const manifest = await world.manifest();
    expect(manifest).toMatchObject({ cluster: 'cluster-1', instance: 'cold' });
    expect(manifest.topics).toMatchObject([{ name: 't', shardCount: 1, settings: { engine: 'hot' } }]);
    await world.stop();
    const reader = await world.archive();
    const found: string[] = [];
    for await (const chunk of archivedBatches(reader, manifest.topics[0]?.shards[0]?.segments ?? [], 1))
      forEachBatch(chunk, (header, at) => {
        for (const { offset, value } of decodeRecords(chunk.subarray(at, at + header.bytes)))
          found.push(`${offset}:${Buffer.from(value ?? '')}`);
      });
    expect(found).toEqual(['1:v1', '2:v2', '3:v3', '4:v4']);
  });

  it('are not written again when a node starts and nothing has changed', async () => {
    world = await ShelfWorld.open();
    await world.fill(0, 2);
    await covers(0, 2);
    await world.node?.storage.drain();
    await world.stop();
    const before = await world.manifest();
    let rounds = 0;
    world.wrapMeta = (meta) =>
      new Proxy(meta, {
        get: (target, name) => {
          if (name === 'get')
            return (key: string) => {
              if (key.startsWith('manifests/')) rounds++;
              return target.get(key);
            };
          const member: unknown = Reflect.get(target, name);
          return typeof member === 'function' ? member.bind(target) : member;
        },
      });
    await world.start();
    await world.shard();
    await vi.waitFor(() => expect(rounds).toBeGreaterThan(0));
    await world.node?.storage.drain();
    expect((await world.manifest()).number).toBe(before.number);
  });

  it('are written when a node drains and something has changed', async () => {
    world = await ShelfWorld.open();
    await world.fill(0, 3);
    await covers(0, 3);
    const shard = await world.shard();
    await shard.trim(2);
    await world.node?.storage.drain();
    expect((await world.manifest()).topics[0]?.shards[0]?.logStart).toBe(2);
  });

  it('stay few', async () => {
    world = await ShelfWorld.open();
    for (let i = 0; i < 14; i++) {
      await world.fill(i, 1);
      await covers(0, i + 1);
    }
    const { number } = await world.manifest();
    expect(number).toBeGreaterThanOrEqual(14);
    const [cluster = ''] = await readdir(world.path);
    // one more may be there, from before the older ones went
    expect((await readdir(join(world.path, cluster, 'manifest'))).length).toBeLessThanOrEqual(11);
  });

  it('forget a topic before its segments go', async () => {
    const gone: string[][] = [];
    world = await ShelfWorld.open((opened) => {
      opened.wrapCold = watchDeletes(async (id) => void gone.push([id, ...(await listedIds(opened))]));
    });
    await world.fill(0, 3);
    await covers(0, 3);
    await world.node?.storage.deleteTopic('t');
    await vi.waitFor(() => expect(gone.length).toBeGreaterThan(0), { timeout: 15_000 });
    for (const [id, ...listed] of gone) expect(listed).not.toContain(id);
  });
});

/** A manifest that any reader may take for the newest never names what has been deleted, and no number ever stands for two contents. */
it.each([1, 2, 3, 4, 5, 6])(
  'seed %i: no manifest names what is gone, whatever fails',
  { timeout: 60_000 },
  async (seed) => {
    const random = new SeededRandom(seed);
    const problems: string[] = [];
    const put = new Map<number, string>();
    world = await ShelfWorld.open((opened) => {
      opened.wrapCold = (cold) => {
        const watched = watchDeletes(async (id) => {
          if ((await listedIds(opened)).includes(id)) problems.push(`${id} was deleted and is listed`);
        })(cold);
        return flaky(watched, random, put, problems);
      };
    });
    let next = 0;
    let trimmed = 0;
    for (let step = 0; step < 40; step++) {
      const chance = random.next();
      if (chance < 0.55) {
        await world.fill(next++, 1);
      } else if (chance < 0.7) {
        const shard = await world.shard();
        trimmed = Math.min(next, trimmed + 1);
        await shard.trim(trimmed);
      } else if (chance < 0.8) {
        await world.stop();
        await world.start();
        await (await world.shard()).offsets(); // else nobody looks after it for minutes
      } else {
        if (trimmed < next) await covers(trimmed, next);
      }
    }
    await world.fill(next, 1);
    await covers(trimmed, next + 1);
    expect(problems).toEqual([]);
    expect(await world.read()).toEqual(
      Array.from({ length: next + 1 - trimmed }, (_, i) => `${trimmed + i}:v${trimmed + i}`),
    );
  },
);

async function listedIds(from: ShelfWorld): Promise<string[]> {
  try {
    const { topics } = await from.manifest();
    return topics.flatMap(({ shards }) => shards.flatMap(({ segments }) => segments.map(({ id }) => id)));
  } catch {
    return []; // there is none yet
  }
}

function watchDeletes(told: (id: string) => Promise<void>): (instance: EngineInstance) => EngineInstance {
  return (instance) => {
    const before = instance.engine.delete.bind(instance.engine);
    instance.engine.delete = async (id) => {
      await told(id);
      await before(id);
    };
    return instance;
  };
}

/** Puts of manifests fail, before or after they took effect. */
function flaky(
  instance: EngineInstance,
  random: SeededRandom,
  put: Map<number, string>,
  problems: string[],
): EngineInstance {
  const { shelf } = instance.engine;
  if (shelf === undefined) throw new Error('it has one');
  const lost = (): StorageError => new StorageError('STORE_UNAVAILABLE', 'the store does not answer');
  const unsteady = {
    place: (id: string) => (random.next() < 0.05 ? Promise.reject(lost()) : shelf.place(id)),
    putManifest: async (number: number, bytes: Uint8Array) => {
      const chance = random.next();
      if (chance < 0.15) throw lost();
      const text = Buffer.from(bytes).toString();
      if (put.has(number) && put.get(number) !== text) problems.push(`number ${number} was used twice`);
      put.set(number, text);
      await shelf.putManifest(number, bytes);
      if (chance < 0.3) throw lost();
    },
    deleteManifest: (number: number) => (random.next() < 0.1 ? Promise.reject(lost()) : shelf.deleteManifest(number)),
  };
  const engine = new Proxy(instance.engine, {
    get: (target, name) => {
      if (name === 'shelf') return unsteady;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  return new Proxy(instance, { get: (target, name) => (name === 'engine' ? engine : Reflect.get(target, name)) });
}
