import {
  type ArchiveManifest,
  type ArchiveReader,
  type Clock,
  type EngineContext,
  type Meta,
  type Random,
  type StorageEngine,
  silentLogger,
  systemClock,
  unreadMetrics,
  verifyArchive,
} from '@robustmq/core';
import { forEachBatch } from '@robustmq/core/batch';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import { describe, expect, it } from 'vitest';
import { openObjectArchive } from '../src/archive.ts';
import { openObjects } from '../src/open.ts';
import { batch } from './batches.ts';
import { backendOf } from './support/backend.ts';
import { Bucket } from './support/bucket.ts';
import { MemoryStore, type MemoryStoreOptions } from './support/memory-store.ts';
import { settingsOf } from './support/settings.ts';
import { CALM, type Fate } from './support/weather.ts';

const random = new SeededRandom(1);
const config = settingsOf({ prefix: 'here/' });

type Own = Pick<MemoryStoreOptions, 'interfere' | 'weather' | 'requestTimeoutMs'>;

function storeOn(bucket: Bucket, own: Own = {}): MemoryStore {
  return new MemoryStore({ bucket, clock: systemClock, random: new SeededRandom(2), ...own });
}

function open(bucket: Bucket, meta: Meta): Promise<StorageEngine> {
  const ctx: EngineContext<typeof config> = {
    instance: 'cold',
    node: 1,
    dir: '/nowhere',
    config,
    fs: undefined as never, // it uses no files
    lock: () => Promise.reject(new Error('no files')),
    clock: systemClock,
    random,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta,
    health: () => {},
    usage: () => {},
    signal: new AbortController().signal,
  };
  return openObjects(ctx, backendOf(storeOn(bucket)));
}

function archiveOf(bucket: Bucket, cluster?: string, own: Own = {}, patienceMs = 0): Promise<ArchiveReader> {
  const ctx = {
    config: { ...config, patienceMs },
    clock: systemClock,
    random,
    logger: silentLogger,
    signal: new AbortController().signal,
  };
  return openObjectArchive({ ...ctx, ...(cluster === undefined ? {} : { cluster }) }, backendOf(storeOn(bucket, own)));
}

async function* chunksFrom(base: number, count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield batch({ base: base + i });
}

async function offsetsIn(engine: Pick<StorageEngine, 'openReader'>, id: string): Promise<number[]> {
  const reader = await engine.openReader(id);
  const { base, end } = reader.offsets();
  const found: number[] = [];
  for (let at = base; at < end; ) {
    const { bytes, next } = await reader.read(at, { maxBytes: 300 });
    forEachBatch(bytes, ({ baseOffset }) => void found.push(baseOffset));
    at = next;
  }
  await reader.close();
  return found;
}

/** Two small segments that share an object, and what a manifest would say of them. */
async function filled(bucket: Bucket) {
  const engine = await open(bucket, new MemoryMeta());
  const { shelf } = engine;
  if (shelf === undefined) throw new Error('it has one');
  const options = { epoch: 3, state: new Uint8Array(2) };
  const results = await Promise.all(
    [0, 10].map((base) =>
      engine.ingest(`seg-${base}`, { ...options, base, end: base + 10, uid: `u${base}` }, chunksFrom(base, 10)),
    ),
  );
  const segments = await Promise.all(
    [0, 10].map(async (base, i) => ({
      id: `seg-${base}`,
      base,
      end: base + 10,
      epoch: 3,
      bytes: results[i]?.bytes ?? 0,
      crc: results[i]?.crc ?? 0,
      // as a manifest gives it back
      place: JSON.parse(JSON.stringify(await shelf.place(`seg-${base}`))),
    })),
  );
  return { engine, shelf, segments };
}

it('gives manifests and segments back from the bucket alone', async () => {
  const bucket = new Bucket({ clock: systemClock, random });
  const { engine, shelf, segments } = await filled(bucket);
  // the second one twice, as after a reply that nobody heard
  for (const number of [1, 2, 2, 11]) await shelf.putManifest(number, Buffer.from(`manifest ${number}`));
  await expect(shelf.putManifest(2, Buffer.from('another'))).rejects.toMatchObject({ code: 'SEGMENT_EXISTS' });
  await shelf.deleteManifest(1);
  await engine.close();
  const archive = await archiveOf(bucket);
  expect(archive.cluster).toBe(engine.incarnation);
  expect(await archive.manifests({ limit: 10 })).toEqual([2, 11]);
  expect(await archive.manifests({ after: 2, limit: 10 })).toEqual([11]);
  expect(Buffer.from(await archive.readManifest(11)).toString()).toBe('manifest 11');
  for (const { place, base } of segments)
    expect(await offsetsIn({ openReader: () => archive.openReader(place) }, '')).toEqual(
      Array.from({ length: 10 }, (_, i) => base + i),
    );
  const names: string[] = [];
  for await (const { name, bytes, putAt } of archive.objects()) {
    names.push(name);
    expect(bytes).toBeGreaterThan(0);
    expect(putAt).toBeGreaterThan(0);
  }
  expect(new Set(names)).toEqual(new Set(segments.map(({ place }) => archive.objectOf(place))));
  await expect(archive.readManifest(5)).rejects.toMatchObject({ code: 'IO_ERROR' });
  await expect(archive.openReader({ ...segments[0]?.place, object: '0000/seg/gone' })).rejects.toMatchObject({
    code: 'SEGMENT_LOST',
  });
  await expect(archive.openReader({ object: 7 })).rejects.toMatchObject({ code: 'CORRUPT' });
  await archive.close();
});

it('lets a new Meta have the segments, also when asked twice, and deletes them when they are dropped', async () => {
  const bucket = new Bucket({ clock: systemClock, random });
  const { engine, segments } = await filled(bucket);
  await engine.close();
  const archive = await archiveOf(bucket);
  const meta = new MemoryMeta();
  expect(await archive.adopt(meta, segments.slice(0, 1))).toEqual({ incarnation: engine.incarnation });
  await archive.adopt(meta, segments);
  const restored = await open(bucket, meta);
  expect(restored.incarnation).toBe(engine.incarnation);
  expect(await restored.list({ prefix: '', limit: 10 })).toEqual(['seg-0', 'seg-10']);
  expect(await offsetsIn(restored, 'seg-10')).toEqual(Array.from({ length: 10 }, (_, i) => 10 + i));
  expect(await restored.shelf?.place('seg-0')).toEqual(segments[0]?.place);
  // they share an object, which goes with the last of them
  const namesLeft = async (): Promise<string[]> => {
    await restored.maintain?.({ requestBudget: 100, signal: new AbortController().signal });
    const names: string[] = [];
    for await (const { name } of archive.objects()) names.push(name);
    return names;
  };
  expect(await namesLeft()).toHaveLength(1);
  await restored.delete('seg-0');
  expect(await namesLeft()).toHaveLength(1);
  expect(await offsetsIn(restored, 'seg-10')).toHaveLength(10);
  await restored.delete('seg-10');
  expect(await namesLeft()).toEqual([]);
  await restored.close();
  const other = new MemoryMeta();
  await (await open(new Bucket({ clock: systemClock, random }), other)).close();
  await expect(archive.adopt(other, segments)).rejects.toMatchObject({ code: 'INSTANCE_CHANGED' });
  await archive.close();
});

it('asks which cluster when there are several, and says when there is none', async () => {
  const bucket = new Bucket({ clock: systemClock, random });
  await expect(archiveOf(bucket)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  const first = await filled(bucket);
  await first.engine.close();
  const second = await filled(bucket);
  await second.engine.close();
  await expect(archiveOf(bucket)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    hint: expect.stringContaining(first.engine.incarnation),
  });
  const archive = await archiveOf(bucket, second.engine.incarnation);
  expect(archive.cluster).toBe(second.engine.incarnation);
  await archive.close();
});

describe('In a bucket with many other names', () => {
  const CLUSTER = 'ffffffff-0000-4000-8000-000000000000';
  const shared = (names: Iterable<string>): Bucket => {
    const bucket = new Bucket({ clock: systemClock, random });
    for (const name of names) bucket.put(`here/${name}`, Buffer.alloc(1), 'u');
    return bucket;
  };
  function* numbered(from: number, to: number, name: (number: string) => string): Generator<string> {
    for (let i = from; i < to; i++) yield name(String(i).padStart(6, '0'));
  }

  it.each([
    ['folders', (number: string) => `${number}/of-others`],
    ['objects', (number: string) => number],
    ['names of all Unicode', (number: string) => `\u{1F600}\uFF5E${number}/of-others`],
  ])('finds the only cluster behind thousands of %s', async (_, name) => {
    const bucket = shared([...numbered(0, 2500, name), `${CLUSTER}/medium`, 'z/of-others']);
    const archive = await archiveOf(bucket);
    expect(archive.cluster).toBe(CLUSTER);
    await archive.close();
  });

  it('finds that there are two, pages apart', async () => {
    const first = CLUSTER.replaceAll('f', '0');
    const between = numbered(0, 1500, (number) => `1${number}/of-others`);
    await expect(archiveOf(shared([`${first}/medium`, ...between, `${CLUSTER}/medium`]))).rejects.toMatchObject({
      message: expect.stringContaining('2 clusters'),
      hint: expect.stringMatching(new RegExp(`${first}.*${CLUSTER}`)),
    });
  });

  it('says so when it has not looked at all of them, and never that there is none', async () => {
    const bucket = shared([`${CLUSTER.replaceAll('f', '0')}/medium`]);
    // an endless bucket: each page ends with a name above the one before
    let pages = 0;
    const list = bucket.list.bind(bucket);
    bucket.list = (options) => {
      pages++;
      return {
        ...list({ ...options, after: '' }),
        objects: [{ key: `here/${pages + 1e6}`, bytes: 1, putAt: 1 }],
        more: true,
      };
    };
    await expect(archiveOf(bucket)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('more names under this prefix than are looked at'),
      hint: expect.stringContaining('--cluster'),
    });
    expect(pages).toBe(50);
  });
});

describe('On a store whose LIST fails or is slow', () => {
  const STRAYS = 2500;

  /** A manifest that names both segments of it, and strays for three pages. */
  async function strewn() {
    const bucket = new Bucket({ clock: systemClock, random });
    const { engine, segments } = await filled(bucket);
    await engine.close();
    const root = `here/${engine.incarnation}`;
    for (let i = 0; i < STRAYS; i++) bucket.put(`${root}/00ab/seg/${String(i).padStart(5, '0')}`, Buffer.alloc(1), 'u');
    const shards = [{ shard: 0, segments: [] as typeof segments }];
    const manifest = { topics: [{ name: 't', shards }], writtenAt: systemClock.wall() } as unknown as ArchiveManifest;
    return { bucket, manifest };
  }

  async function strays(archive: ArchiveReader, manifest: ArchiveManifest): Promise<string[]> {
    const found: string[] = [];
    for await (const finding of verifyArchive(archive, manifest))
      if (finding.kind === 'unlisted') found.push(finding.object.name);
    return found;
  }

  /** The page of this number, the fates one after the other. */
  function onPage(page: number, fates: readonly Fate[]): Pick<MemoryStoreOptions, 'interfere'> {
    const left = [...fates];
    let pages = 0;
    return {
      interfere: (request, key) => {
        if (request !== 'LIST' || key === config.prefix) return undefined;
        return ++pages < page ? undefined : left.shift();
      },
    };
  }
  const FAILS: Fate = { kind: 'answered', trouble: 'server', applied: false };

  it('verify goes on in the middle of its pages, and names each object once', async () => {
    const { bucket, manifest } = await strewn();
    const archive = await archiveOf(bucket, undefined, onPage(2, [FAILS, FAILS]), 60_000);
    const found = await strays(archive, manifest);
    expect(new Set(found).size).toBe(found.length);
    expect(found.filter((name) => name.startsWith('00ab/'))).toHaveLength(STRAYS);
    await archive.close();
  });

  it('verify fails as the store did when it fails for good, and has not told that it has seen all', async () => {
    const { bucket, manifest } = await strewn();
    const archive = await archiveOf(bucket, undefined, onPage(2, Array(1000).fill(FAILS)));
    await expect(strays(archive, manifest)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await archive.close();
  });

  it('verify waits for pages that take long', async () => {
    const { bucket, manifest } = await strewn();
    const archive = await archiveOf(bucket, undefined, { weather: { ...CALM, delayMs: 200 } }, 60_000);
    expect((await strays(archive, manifest)).filter((name) => name.startsWith('00ab/'))).toHaveLength(STRAYS);
    await archive.close();
  });

  it('verify asks again for a page that never came', async () => {
    const { bucket, manifest } = await strewn();
    const own = { ...onPage(3, [{ kind: 'lost', silent: true }]), requestTimeoutMs: 50 };
    const archive = await archiveOf(bucket, undefined, own, 60_000);
    expect((await strays(archive, manifest)).filter((name) => name.startsWith('00ab/'))).toHaveLength(STRAYS);
    await archive.close();
  });
});

describe('On a store whose LIST lags', () => {
  /** Shows what was put before the last `settle`. */
  function lagging(): { readonly bucket: Bucket; settle(): void } {
    let now = 0;
    const clock: Clock = { ...systemClock, monotonic: () => now };
    const slowest: Random = { next: () => 1, uuid: () => random.uuid() };
    return { bucket: new Bucket({ clock, random: slowest, staleListMs: 1 }), settle: () => void now++ };
  }

  async function listing(shown: readonly number[], notShown: readonly number[], gone: readonly number[] = []) {
    const { bucket, settle } = lagging();
    const { engine, shelf } = await filled(bucket);
    for (const number of shown) await shelf.putManifest(number, Buffer.from(`manifest ${number}`));
    settle();
    for (const number of notShown) await shelf.putManifest(number, Buffer.from(`manifest ${number}`));
    for (const number of gone) await shelf.deleteManifest(number);
    await engine.close();
    return await archiveOf(bucket);
  }

  it.each([
    ['the next ones', [1, 2], [3, 4], [1, 2, 3, 4]],
    ['one behind numbers that were taken in vain', [1, 2], [258], [1, 2, 258]],
    ['one behind another', [1], [200, 400], [1, 200, 400]],
    ['the first ones', [], [2, 3], [2, 3]],
  ])('finds %s', async (_, shown, notShown, all) => {
    const archive = await listing(shown, notShown);
    expect(await archive.manifests({ limit: 1000 })).toEqual(all);
    expect(await archive.manifests({ after: all[0] ?? 0, limit: 1 })).toEqual(all.slice(1, 2));
    await archive.close();
  });

  it('finds the newest when all that it shows is deleted', async () => {
    const archive = await listing([1, 2, 3], [20, 21], [1, 2, 3]);
    expect((await archive.manifests({ limit: 1000 })).at(-1)).toBe(21);
    await expect(archive.readManifest(3)).rejects.toMatchObject({ hint: expect.stringContaining('--manifests') });
    await archive.close();
  });

  it('does with what it shows where it refuses to say what is not there', async () => {
    const { bucket, settle } = lagging();
    const { engine, shelf } = await filled(bucket);
    await shelf.putManifest(1, Buffer.from('manifest 1'));
    settle();
    await engine.close();
    const archive = await archiveOf(bucket, undefined, {
      interfere: (request, key) =>
        request === 'HEAD' && !bucket.objects.has(key)
          ? { kind: 'answered', trouble: 'denied', applied: false }
          : undefined,
    });
    expect(await archive.manifests({ limit: 1000 })).toEqual([1]);
    expect(Buffer.from(await archive.readManifest(1)).toString()).toBe('manifest 1');
    await archive.close();
  });

  it('stops to look when 256 numbers in a row are not there', async () => {
    const archive = await listing([1], [2000]);
    expect(await archive.manifests({ limit: 1000 })).toEqual([1]);
    await archive.close();
  });
});
