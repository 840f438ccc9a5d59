import type { SegmentReader, Shard } from '@robustmq/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ArchiveWorld, MINUTE } from './archive-world.ts';
import { batch, shardOf } from './harness.ts';

const ARCHIVE = { to: 'cold', after: 10 * MINUTE, keepLocal: 60 * MINUTE };
const values = (count: number) => Array.from({ length: count }, (_, i) => `${i}:v${i}`);

let world: ArchiveWorld;
afterEach(async () => await world.close());

describe('Archiving', () => {
  it('leaves what is new alone', async () => {
    world = await ArchiveWorld.open({ archive: ARCHIVE });
    await world.fill(0, 3);
    world.clock.shift += 9 * MINUTE;
    await world.rounds();
    expect(await world.chain()).toEqual(['0-1 hot', '1-2 hot', '2-3 hot']);
  });

  it('gathers what is old into the archive, and keeps copies for readers until keepLocal is over', async () => {
    world = await ArchiveWorld.open({ archive: ARCHIVE });
    await world.fill(0, 3);
    world.clock.shift += 11 * MINUTE;
    await world.rounds();
    expect(await world.chain()).toEqual(['0-3 cold', '~0-1 hot', '~1-2 hot', '~2-3 hot']);
    expect(await world.read()).toEqual(values(3));
    world.clock.shift += 50 * MINUTE;
    await world.rounds();
    expect(await world.chain()).toEqual(['0-3 cold']);
    expect(await world.read()).toEqual(values(3));
    expect(await world.leaked()).toEqual([]);
  });

  it('reads the copy as long as it is there, and the archive when it is not', async () => {
    world = await ArchiveWorld.open({ archive: ARCHIVE });
    await world.fill(0, 2);
    world.clock.shift += 11 * MINUTE;
    await world.rounds();
    const cold = world.instances.get('cold');
    const hot = world.instances.get('hot');
    if (cold === undefined || hot === undefined) throw new Error('they are configured');
    let opened = 0;
    const { openReader } = cold.engine;
    cold.engine.openReader = (id) => {
      opened++;
      return openReader.call(cold.engine, id);
    };
    await world.restart();
    expect(await world.read()).toEqual(values(2));
    expect(opened).toBe(0);
    // somebody removes the copies behind our back
    for (const id of await hot.engine.list({ prefix: '', limit: 10 })) await hot.engine.delete(id);
    await world.restart();
    expect(await world.read()).toEqual(values(2));
    expect(opened).toBeGreaterThan(0);
  });

  it('lets reads of what is archived wait for others while the node is full, and no others', async () => {
    world = await ArchiveWorld.open({ archive: { ...ARCHIVE, keepLocal: 0 } });
    await world.fill(0, 2);
    world.clock.shift += 11 * MINUTE;
    await world.rounds();
    expect(await world.chain()).toEqual(['0-2 cold']);
    world.busy = () => 1;
    await world.restart();
    await world.fill(2, 2);
    const shard = await world.shard();
    const { coldReads } = shard.log.environment;
    await vi.waitFor(
      async () => {
        await shard.read(0, { maxBytes: 4096 });
        await shard.append([batch(['more'])]);
        expect(coldReads.rate).toBeLessThan(Number.POSITIVE_INFINITY);
      },
      { timeout: 10_000, interval: 30 },
    );
    // more than it has credit for
    const order: string[] = [];
    const cold = Array.from({ length: 8 }, () =>
      shard.read(0, { maxBytes: 4 * 1024 * 1024 }).then(() => order.push('cold')),
    );
    await shard.read(2, { maxBytes: 4096 });
    await shard.read(4, { maxBytes: 4096 });
    order.push('hot');
    await Promise.all(cold);
    expect(order.indexOf('hot')).toBeLessThan(7);
    expect(order).toHaveLength(9);
  });

  it('seals an open segment in time', async () => {
    world = await ArchiveWorld.open({
      archive: { ...ARCHIVE, after: 20 },
      segment: { bytes: 1_000_000, ms: 3_600_000 },
    });
    const shard = await world.shard();
    await shard.append([batch(['v0'])]);
    await new Promise((resolve) => setTimeout(resolve, 40));
    await world.rounds();
    expect(await world.chain()).toEqual(['0-1 cold', '~0-1 hot']);
  });

  it('goes on appending, with dense offsets, while segments are moved', async () => {
    world = await ArchiveWorld.open({ archive: { ...ARCHIVE, keepLocal: 0 } });
    await world.fill(0, 4);
    world.clock.shift += 11 * MINUTE;
    const moving = world.rounds();
    const shard = await world.shard();
    for (let i = 4; i < 40; i++) await shard.append([batch([`v${i}`])]);
    await moving;
    expect(await world.read()).toEqual(values(40));
    expect((await world.chain())[0]).toBe('0-4 cold');
  });

  it('brings everything back when the topic is no longer archived', async () => {
    world = await ArchiveWorld.open({ archive: { ...ARCHIVE, keepLocal: 0 } });
    await world.fill(0, 3);
    world.clock.shift += 11 * MINUTE;
    await world.rounds();
    expect(await world.chain()).toEqual(['0-3 cold']);
    await world.node?.storage.alterTopic('t', { archive: { to: 'none' } });
    await world.rounds();
    expect(await world.chain()).toEqual(['0-3 hot']);
    expect(await world.read()).toEqual(values(3));
    expect(await world.leaked()).toEqual([]);
  });

  it('moves from one archive to another', async () => {
    world = await ArchiveWorld.open({ archive: { ...ARCHIVE, keepLocal: 0 } });
    await world.fill(0, 3);
    world.clock.shift += 11 * MINUTE;
    await world.rounds();
    await world.node?.storage.alterTopic('t', { archive: { to: 'other' } });
    await world.rounds();
    expect(await world.chain()).toEqual(['0-3 other']);
    expect(await world.read()).toEqual(values(3));
    expect(await world.leaked()).toEqual([]);
  });

  it('drops archived segments and their copies by retention', async () => {
    world = await ArchiveWorld.open({ archive: ARCHIVE, retention: { ms: 30 * MINUTE, bytes: -1 } });
    await world.fill(0, 3);
    world.clock.shift += 11 * MINUTE;
    await world.rounds();
    world.clock.shift += 25 * MINUTE;
    await world.fill(3, 1);
    await world.rounds();
    expect(await world.chain()).toEqual(['3-4 hot']);
    expect(await world.leaked()).toEqual([]);
  });

  it('refuses an archive that can not be one', async () => {
    world = await ArchiveWorld.open({});
    const { storage } = world.node as NonNullable<typeof world.node>; // it is open
    await world.shard();
    await expect(storage.alterTopic('t', { archive: { to: 'nowhere' } })).rejects.toMatchObject({
      code: 'ENGINE_UNKNOWN',
    });
    await expect(storage.alterTopic('t', { archive: { to: 'hot' } })).rejects.toMatchObject({ code: 'TOPIC_INVALID' });
  });

  it('comes out of it to where it is less safe only when that is said', async () => {
    world = await ArchiveWorld.open({ engine: 'fleeting', archive: { ...ARCHIVE, keepLocal: 0 } });
    await world.fill(0, 3);
    world.clock.shift += 11 * MINUTE;
    await world.rounds();
    const { storage } = world.node as NonNullable<typeof world.node>; // it is open
    const changes = { archive: { to: 'none' } };
    await expect(storage.alterTopic('t', changes)).rejects.toMatchObject({ code: 'WEAKER_DURABILITY' });
    await storage.alterTopic('t', changes, { allowWeakerDurability: true });
    await world.rounds();
    expect(await world.chain()).toEqual(['0-3 fleeting']);
  });

  it('tries a move that failed again, and says meanwhile what is wrong', async () => {
    world = await ArchiveWorld.open({ archive: { ...ARCHIVE, keepLocal: 0 } });
    await world.fill(0, 1);
    world.clock.shift += 11 * MINUTE;
    const cold = world.instances.get('cold');
    if (cold === undefined) throw new Error('it is configured');
    const { ingest } = cold.engine;
    cold.engine.ingest = () => Promise.reject(new Error('the store is away'));
    await world.restart();
    await world.rounds();
    const { log } = await world.shard();
    expect(log.moves.trouble).toMatchObject({ to: 'cold' });
    expect(await world.chain()).toEqual(['0-1 hot']);
    cold.engine.ingest = ingest;
    await world.restart();
    await world.rounds();
    expect(await world.chain()).toEqual(['0-1 cold']);
    expect(await world.leaked()).toEqual([]);
  });

  it.each<[string, (reader: SegmentReader) => Partial<SegmentReader>, RegExp]>([
    [
      'is shorter',
      (reader) => ({ offsets: () => ({ ...reader.offsets(), committed: 0, end: 0 }) }),
      /should have 0 to 1/,
    ],
    ['is not sealed', (reader) => ({ offsets: () => ({ ...reader.offsets(), sealed: false }) }), /should have 0 to 1/],
    ['has lost its state', () => ({ state: async () => new Uint8Array(3) }), /lost its state/],
  ])('keeps the good copy when what the archive says that it took %s', async (_, spoilt, seen) => {
    world = await ArchiveWorld.open({ archive: { ...ARCHIVE, keepLocal: 0 } });
    await world.fill(0, 1);
    world.clock.shift += 11 * MINUTE;
    const cold = world.instances.get('cold');
    if (cold === undefined) throw new Error('it is configured');
    const { openReader } = cold.engine;
    cold.engine.openReader = async (id) => {
      const reader = await openReader.call(cold.engine, id);
      const { offsets, state, close } = {
        offsets: () => reader.offsets(),
        state: () => reader.state(),
        close: () => reader.close(),
        ...spoilt(reader),
      };
      return Object.assign(Object.create(reader) as SegmentReader, { offsets, state, close });
    };
    await world.rounds();
    const { log } = await world.shard();
    expect(log.moves.trouble?.error).toMatchObject({ code: 'CORRUPT', message: expect.stringMatching(seen) });
    expect(await world.chain()).toEqual(['0-1 hot']);
    cold.engine.openReader = openReader;
    expect(await world.read()).toEqual(values(1));
    expect(await world.leaked()).toEqual([]);
    await world.restart();
    await world.rounds();
    expect(await world.chain()).toEqual(['0-1 cold']);
    expect(await world.leaked()).toEqual([]);
  });
});

describe('A shard that always has more to move', () => {
  it('keeps no other from its turn', async () => {
    world = await ArchiveWorld.open({
      archive: { to: 'cold', after: 1, keepLocal: 0 },
      segment: { bytes: 1024, ms: 60_000 },
    });
    const tuning = { maintenanceIntervalMs: 20, movesAtOnce: 1 };
    await world.restart(tuning);
    const { storage } = world.node as NonNullable<typeof world.node>; // it is open
    const cold = world.instances.get('cold');
    if (cold === undefined) throw new Error('it is configured');
    const { ingest } = cold.engine;
    cold.engine.ingest = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      return ingest.apply(cold.engine, args);
    };
    const busy = await shardOf(storage, 'busy');
    const late = await shardOf(storage, 'late');
    let isMoved = false;
    const writing = (async () => {
      for (; !isMoved; await new Promise((resolve) => setTimeout(resolve, 1)))
        await busy.append([batch(['x'.repeat(1000)])]);
    })();
    const archived = async (shard: Shard) =>
      (await shard.segments()).some(({ instance, state }) => instance === 'cold' && state === 'SEALED');
    try {
      await vi.waitFor(async () => expect(await archived(busy)).toBe(true), { timeout: 5000 });
      await late.append([batch(['y'.repeat(1000)])]);
      await vi.waitFor(async () => expect(await archived(late)).toBe(true), { timeout: 5000 });
    } finally {
      isMoved = true;
      await writing;
    }
  });
});

describe('A shard that nobody has used since the start', () => {
  it('is moved after its topic was altered', async () => {
    world = await ArchiveWorld.open({});
    await world.fill(0, 3);
    await world.restart();
    await world.node?.storage.alterTopic('t', { engine: 'cold' });
    await isOpened();
    await world.rounds();
    expect(await world.chain()).toEqual(['0-3 cold']);
  });

  it('is moved on after a restart in the middle', async () => {
    world = await ArchiveWorld.open({});
    await world.fill(0, 3);
    await world.node?.storage.alterTopic('t', { engine: 'cold' });
    await world.restart();
    await isOpened();
    await world.rounds();
    expect(await world.chain()).toEqual(['0-3 cold']);
  });

  it('is left alone where nothing may move', async () => {
    world = await ArchiveWorld.open({});
    await world.fill(0, 3);
    await world.restart();
    await world.node?.storage.alterTopic('t', { retention: { ms: 1_000_000 } });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await world.node?.storage.archiveStatus()).toMatchObject({ shardsNotOpen: 1 });
  });

  /** Without anybody's doing. */
  const isOpened = () =>
    vi.waitFor(async () => expect(await world.node?.storage.archiveStatus()).toMatchObject({ shardsNotOpen: 0 }));
});

describe('A crash at any step of archiving', () => {
  for (const applied of [false, true])
    it(`${applied ? 'after' : 'before'} the step loses nothing, repeats nothing and leaks nothing`, async () => {
      for (let step = 1; ; step++) {
        world = await ArchiveWorld.open({ archive: { ...ARCHIVE, keepLocal: 30 * MINUTE } });
        await world.fill(0, 3);
        world.clock.shift += 11 * MINUTE;
        await world.restart();
        await (await world.shard()).log.opened();
        world.steps.crashAt = { step: world.steps.count + step, applied };
        await Promise.race([archiveThenForget(), new Promise((resolve) => setTimeout(resolve, 150))]);
        const { crashed } = world.steps;
        await world.restart();
        expect(await world.read(), `step ${step}`).toEqual(values(3));
        world.clock.shift += 40 * MINUTE;
        await world.rounds();
        expect(await world.chain(), `step ${step}`).toEqual(['0-3 cold']);
        expect(await world.read(), `step ${step}`).toEqual(values(3));
        expect(await world.leaked(), `step ${step}`).toEqual([]);
        await world.fill(3, 1);
        expect(await world.read(), `step ${step}`).toEqual(values(4));
        if (!crashed) {
          // more than the intent, the copy, the swap and the deletion
          expect(step).toBeGreaterThan(6);
          return;
        }
        await world.close();
      }
    }, 60_000);

  async function archiveThenForget(): Promise<void> {
    await world.rounds();
    world.clock.shift += 40 * MINUTE;
    await world.rounds();
  }
});

describe('The status of archiving', () => {
  it('counts a shard that nobody has used since the start as not open, and says what lies where once it is', async () => {
    world = await ArchiveWorld.open({ archive: { ...ARCHIVE, keepLocal: 0 } });
    await world.fill(0, 3);
    world.clock.shift += 11 * MINUTE;
    await world.rounds();
    await world.restart();
    const { storage } = world.node as NonNullable<typeof world.node>; // it is open
    const topic = await storage.ensureTopic('t');
    const shard = storage.shard(topic, 0);
    expect(await storage.archiveStatus()).toMatchObject({ shards: [], shardsNotOpen: 1 });
    await shard.offsets();
    const { shards, shardsNotOpen } = await storage.archiveStatus();
    expect(shardsNotOpen).toBe(0);
    expect(shards).toMatchObject([{ archived: { segments: 1 } }]);
  });
});
