import { type ArchiveReader, readManifest, systemClock, type Topic } from '@robustmq/core';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import { describe, expect, it } from 'vitest';
import { ManifestKeeper } from '../../src/archive/manifest-keeper.ts';
import { headCodec, headKey, segmentCodec, segmentId, segmentKey } from '../../src/shard/chain.ts';
import { DEFAULTS } from '../storage/harness.ts';

const random = new SeededRandom(1);
const topic: Topic = { name: 'big', id: 'b-1', shards: 3, internal: false, settings: DEFAULTS, origins: {} };

/** A cluster whose shards have so many archived segments each. */
async function metaWith(counts: readonly number[]): Promise<MemoryMeta> {
  const meta = new MemoryMeta();
  for (const [shard, count] of counts.entries()) {
    const head = { epoch: 1, owner: 1, logStart: 0, reserved: 1 << 20, nextSeq: count + 1 };
    const rows = Array.from({ length: count }, (_, i) => ({
      key: segmentKey(topic.id, shard, i + 1),
      value: segmentCodec.encode({
        seq: i + 1,
        id: segmentId(topic.id, shard, i + 1),
        instance: 'cold',
        incarnation: 'i',
        state: 'SEALED',
        base: 10 * i,
        end: 10 * i + 10,
        epoch: 1,
        bytes: 1000,
        minTs: 0,
        maxTs: 0,
        appendMaxTs: 0,
        crc: i,
      }),
    }));
    const puts = [{ key: headKey(topic.id, shard), value: headCodec.encode(head) }, ...rows];
    for (let at = 0; at < puts.length; at += 100)
      await meta.commit({ id: random.uuid(), puts: puts.slice(at, at + 100) });
  }
  return meta;
}

/** A store in memory, as far as manifests need one. */
class Store {
  readonly documents = new Map<number, Uint8Array>();
  readonly shelf = {
    place: async (id: string) => ({ object: `somewhere in a bucket, under a name of usual length/${id}` }),
    putManifest: async (number: number, bytes: Uint8Array) => void this.documents.set(number, bytes),
    deleteManifest: async (number: number) => void this.documents.delete(number),
  };
  readonly reader = {
    cluster: 'c',
    manifests: async ({ after = 0, limit }: { after?: number; limit: number }) =>
      [...this.documents.keys()].filter((number) => number > after).slice(0, limit),
    readManifest: async (number: number) => this.documents.get(number) ?? new Uint8Array(0),
  } as unknown as ArchiveReader; // what reading manifests asks for
}

function keeperOf(meta: MemoryMeta, store: Store): ManifestKeeper {
  return new ManifestKeeper({
    instance: 'cold',
    shelf: store.shelf,
    cluster: 'c',
    meta,
    clock: systemClock,
    random,
    intervalMs: 0,
    pageBytes: 20_000,
    written: { value: 0 },
    failures: { value: 0 },
    topics: () => [topic],
  });
}

describe('A keeper of manifests', () => {
  it('writes a large one in pages that are read as one, and deletes the pages with it', async () => {
    const meta = await metaWith([300, 10, 200]);
    const store = new Store();
    const keeper = keeperOf(meta, store);
    await keeper.round();
    expect(store.documents.size).toBeGreaterThan(1);
    const manifest = await readManifest(store.reader);
    expect(manifest).toMatchObject({ number: store.documents.size, pages: store.documents.size - 1 });
    expect(manifest.topics[0]?.shards.map(({ segments }) => segments.length)).toEqual([300, 10, 200]);
    expect(keeper.status()).toMatchObject({ segments: 510, isBehind: false, number: manifest.number });
    expect(keeper.mayDelete(segmentId(topic.id, 0, 300))).toBe(false);
    expect(keeper.mayDelete(segmentId(topic.id, 0, 301))).toBe(true);

    await expect(readManifest(store.reader, 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });

    // of the next one only a page arrives: it says nothing
    const next = store.documents.size + 1;
    const { putManifest } = store.shelf;
    store.shelf.putManifest = (number, bytes) =>
      number === next ? putManifest(number, bytes) : Promise.reject(new Error('the node is dead'));
    keeper.retell();
    await meta.commit({ id: random.uuid(), deletes: [segmentKey(topic.id, 1, 10)] });
    keeper.touch(`${topic.id}/1`);
    await expect(keeper.round()).rejects.toThrow('the node is dead');
    expect(store.documents.has(next)).toBe(true);
    expect((await readManifest(store.reader)).number).toBe(manifest.number);

    // and the one that comes of trying again does
    store.shelf.putManifest = putManifest;
    await keeper.round();
    const newest = await readManifest(store.reader);
    expect(newest.number).toBe(next + 2 * manifest.pages + 1);
    expect(newest.topics[0]?.shards.map(({ segments }) => segments.length)).toEqual([300, 9, 200]);

    for (let i = 0; i < 10; i++) {
      await meta.commit({ id: random.uuid(), deletes: [segmentKey(topic.id, 2, 200 - i)] });
      keeper.touch(`${topic.id}/2`);
      await keeper.round();
    }
    expect(store.documents.size).toBe(10 * (manifest.pages + 1));
  });

  it('knows nothing about what may be deleted until it has looked', async () => {
    const keeper = keeperOf(await metaWith([2]), new Store());
    expect(keeper.mayDelete(segmentId(topic.id, 0, 1))).toBe(false);
    expect(keeper.mayDelete('another')).toBe(false);
    await keeper.round();
    expect(keeper.mayDelete('another')).toBe(true);
  });

  it('that can not write says why, and tries again', async () => {
    const store = new Store();
    const keeper = keeperOf(await metaWith([2]), store);
    const { putManifest } = store.shelf;
    store.shelf.putManifest = () => Promise.reject(new Error('the store is full'));
    await expect(keeper.round()).rejects.toThrow('the store is full');
    expect(keeper.status()).toMatchObject({
      number: 0,
      isBehind: true,
      error: { message: expect.stringContaining('the store is full') },
    });
    expect(keeper.mayDelete('another')).toBe(false);
    store.shelf.putManifest = putManifest;
    await keeper.round();
    expect(keeper.status()).toMatchObject({ number: 2, isBehind: false });
    expect(keeper.status().error).toBeUndefined();
    expect([...store.documents.keys()]).toEqual([2]);
  });
});
