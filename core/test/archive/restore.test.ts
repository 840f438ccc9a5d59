import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ArchiveReader,
  type Finding,
  type Meta,
  type RestoreReport,
  refuseHalfRestored,
  restoreArchive,
  StorageError,
  type StrayObject,
  systemClock,
  systemRandom,
  verifyArchive,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { batch } from '../storage/harness.ts';
import { ShelfWorld } from './shelf-world.ts';

let world: ShelfWorld;
afterEach(async () => await world.remove());

/** A world whose archive holds 0 to 6 of `t` and whose newest manifest says so. */
async function archived(): Promise<ShelfWorld> {
  world = await ShelfWorld.open();
  await world.fill(0, 6);
  await vi.waitFor(async () => expect((await world.listed()).at(-1)).toMatch(/-6$/), { timeout: 15_000 });
  return world;
}

async function restore(
  meta: Meta,
  own: Partial<ArchiveReader> = {},
  stray: (object: StrayObject) => void = () => {},
): Promise<RestoreReport> {
  const reader = { ...(await world.archive()), ...own };
  const options = { clock: systemClock, random: systemRandom, engines: new Set(['hot', 'cold']), defaultEngine: 'hot' };
  return restoreArchive({ ...options, meta, reader, stray, manifest: await world.manifest(), instance: 'cold' });
}

const values = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `${from + i}:v${from + i}`);

describe('A restore', () => {
  it('serves all that is in the archive, and goes on above every offset that may have been given out', async () => {
    await archived();
    const before = await (await world.shard()).offsets();
    await world.loseAllButArchive();
    const report = await restore(world.meta);
    const [shard] = report.topics[0]?.shards ?? [];
    expect(shard).toMatchObject({ logStart: 0, holes: [{ base: 6 }] });
    await world.start();
    expect(await world.read()).toEqual(values(0, 6));
    const { base } = await (await world.shard()).append([batch(['after'])]);
    expect(base).toBe(shard?.next);
    expect(base).toBeGreaterThan(2 ** 20);
    expect((await (await world.shard()).offsets()).epoch).toBeGreaterThan(before.epoch + 1000);
    expect(await world.read()).toEqual([...values(0, 6), `${base}:after`]);
  });

  it('keeps the settings that were in force, whatever the new rules say', async () => {
    await archived();
    await world.node?.storage.alterTopic('t', { retention: { ms: 1_000_000_000 } });
    await world.node?.storage.drain();
    await world.loseAllButArchive();
    await restore(world.meta);
    await world.start();
    const topic = world.node?.storage.topic('t');
    expect(topic?.settings).toMatchObject({ engine: 'hot', retention: { ms: 1_000_000_000 }, archive: { to: 'cold' } });
    expect(topic?.origins).toMatchObject({ 'retention.ms': 'topic', 'archive.to': 'topic' });
  });

  it('never gives a segment a name that an earlier one has, and the archive goes on', async () => {
    await archived();
    await world.loseAllButArchive();
    const { number, topics } = await world.manifest();
    const before = new Set(topics[0]?.shards[0]?.segments.map(({ id }) => id));
    await restore(world.meta);
    await world.start();
    await vi.waitFor(async () => expect((await world.manifest()).number).toBeGreaterThan(number), { timeout: 15_000 });
    expect((await world.manifest()).topics[0]?.shards[0]?.segments.map(({ id }) => id)).toEqual([...before]);
    await world.fill(6, 2);
    await vi.waitFor(
      async () => {
        const segments = (await world.manifest()).topics[0]?.shards[0]?.segments ?? [];
        expect(segments.length).toBeGreaterThan(before.size);
        expect(segments.at(-1)?.base).toBeGreaterThan(2 ** 20);
      },
      { timeout: 15_000 },
    );
  });

  it('can be interrupted at any step and done again; meanwhile no node starts', async () => {
    await archived();
    await world.loseAllButArchive();
    let isDone = false;
    for (let steps = 0; ; steps++) {
      const meta = new MemoryMeta();
      world.meta = meta;
      const died = await restore(dyingAfter(meta, steps)).then(
        () => false,
        () => true,
      );
      if (!died) {
        expect(isDone).toBe(true);
        break;
      }
      // the last step takes the note away: then it is done
      if (await isHalfRestored(meta)) await restore(meta);
      else isDone = true;
      await refuseHalfRestored(meta);
      await world.start();
      expect(await world.read()).toEqual(values(0, 6));
      await world.loseAllButArchive();
    }
  });

  it('is refused where the topic is known', async () => {
    await archived();
    await expect(restore(world.meta)).rejects.toMatchObject({ code: 'TOPIC_EXISTS' });
  });

  it('restores what the manifest lists, and tells of all else, marked where it may be later', async () => {
    await archived();
    await world.stop();
    const manifest = await world.manifest();
    const files = await segmentFiles();
    const last = manifest.topics[0]?.shards[0]?.segments.at(-1);
    const put = async (name: string, minutesAfter: number): Promise<void> => {
      await writeFile(join(files, name), 'else');
      const at = (manifest.writtenAt + minutesAfter * 60_000) / 1000;
      await utimes(join(files, name), at, at);
    };
    await put('after', 1);
    // the store's clock is not the node's
    await put('just-before', -14);
    await put('long-before', -16);
    await world.loseAllButArchive();
    const strays: StrayObject[] = [];
    const [shard] = (await restore(world.meta, {}, (object) => void strays.push(object))).topics[0]?.shards ?? [];
    expect(strays.map(({ name, isLater }) => [name, isLater]).sort()).toEqual([
      ['seg/after', true],
      ['seg/just-before', true],
      ['seg/long-before', false],
    ]);
    expect(last?.end).toBe(6);
    expect(shard?.holes).toMatchObject([{ base: 6 }]);
  });
});

describe('A restore from a store whose listing lags', () => {
  const nothing = { objects: async function* () {} };

  it('serves what the listing does not show yet', async () => {
    await archived();
    await world.loseAllButArchive();
    const report = await restore(world.meta, nothing);
    expect(report.topics[0]?.shards[0]?.holes).toMatchObject([{ base: 6 }]);
    await world.start();
    expect(await world.read()).toEqual(values(0, 6));
  });

  it('goes without what can not be opened either', async () => {
    await archived();
    await world.stop();
    const segments = (await world.manifest()).topics[0]?.shards[0]?.segments ?? [];
    const [first] = segments;
    await rm(join(await segmentFiles(), first?.id ?? ''));
    await world.loseAllButArchive();
    const [shard] = (await restore(world.meta, nothing)).topics[0]?.shards ?? [];
    expect(shard?.segments).toBe(segments.length - 1);
    expect(shard?.logStart).toBeGreaterThanOrEqual(first?.end ?? 0);
  });

  it('changes nothing when it can not tell', async () => {
    await archived();
    await world.loseAllButArchive();
    const trouble = new StorageError('STORE_UNAVAILABLE', 'no answer');
    const openReader = () => Promise.reject(trouble);
    await expect(restore(world.meta, { ...nothing, openReader })).rejects.toBe(trouble);
    expect((await restore(world.meta)).topics[0]?.shards[0]?.holes).toMatchObject([{ base: 6 }]);
  });
});

describe('Verifying an archive', () => {
  it('finds nothing wrong with one that is whole', async () => {
    await archived();
    await world.stop();
    const findings = await findAll();
    expect(findings.filter(({ kind }) => kind === 'segment').length).toBeGreaterThan(0);
    expect(findings.filter((finding) => finding.kind === 'segment' && finding.error !== undefined)).toEqual([]);
  });

  it.each([
    ['a flipped bit', (bytes: Buffer) => bytes.with(bytes.length - 3, 0x55 ^ (bytes.at(-3) ?? 0))],
    ['a cut end', (bytes: Buffer) => bytes.subarray(0, bytes.length - 20)],
  ])('finds %s', async (_, damage) => {
    await archived();
    await world.stop();
    const files = await segmentFiles();
    const [name = ''] = ((await world.manifest()).topics[0]?.shards[0]?.segments ?? []).map(({ id }) => id);
    const file = join(files, name);
    await writeFile(file, damage(await readFile(file)));
    const damaged = (await findAll()).filter((finding) => finding.kind === 'segment' && finding.error !== undefined);
    expect(damaged).toMatchObject([{ segment: { id: name }, error: { code: 'CORRUPT' } }]);
  });

  it('ends when the store does not let it look: that says nothing about the segments', async () => {
    await archived();
    const trouble = new StorageError('STORE_UNAVAILABLE', 'no answer');
    const reader = { ...(await world.archive()), openReader: () => Promise.reject(trouble) };
    await expect(verifyArchive(reader, await world.manifest()).next()).rejects.toBe(trouble);
  });

  it('finds one that is gone, and names what no manifest lists', async () => {
    await archived();
    await world.stop();
    const files = await segmentFiles();
    const [id = ''] = ((await world.manifest()).topics[0]?.shards[0]?.segments ?? []).map((segment) => segment.id);
    await writeFile(join(files, 'stray'), await readFile(join(files, id)));
    await rm(join(files, id));
    const findings = await findAll();
    expect(findings.filter((finding) => finding.kind === 'segment' && finding.error !== undefined)).toMatchObject([
      { segment: { id }, error: { code: 'SEGMENT_LOST' } },
    ]);
    expect(findings.filter(({ kind }) => kind === 'unlisted')).toMatchObject([{ object: { name: 'seg/stray' } }]);
  });
});

async function isHalfRestored(meta: Meta): Promise<boolean> {
  try {
    await refuseHalfRestored(meta);
    return false;
  } catch (error) {
    expect(error).toMatchObject({ code: 'RESTORE_UNFINISHED' });
    return true;
  }
}

async function findAll(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of verifyArchive(await world.archive(), await world.manifest())) findings.push(finding);
  return findings;
}

async function segmentFiles(): Promise<string> {
  const [cluster = ''] = await readdir(world.path);
  return join(world.path, cluster, 'seg');
}

/** Takes so many commits; of the next one nobody hears whether it was applied, and it was. */
function dyingAfter(meta: Meta, steps: number): Meta {
  let left = steps;
  return {
    get: (key) => meta.get(key),
    list: (options) => meta.list(options),
    watch: (options) => meta.watch(options),
    commitEach: (mutations) => meta.commitEach(mutations),
    commit: async (mutation) => {
      if (left < 0) throw new Error('the process is dead');
      const result = await meta.commit(mutation);
      if (--left < 0) throw new Error('the process is dead');
      return result;
    },
  };
}
