import { encodeBatch, type StorageOptions, systemClock, type Topic } from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { batch, type Node, openMemoryInstance, openNode, readAll, shardOf } from './harness.ts';

const nodes: Node[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

async function node(options: Parameters<typeof openNode>[0] = {}): Promise<Node> {
  const opened = await openNode(options);
  nodes.push(opened);
  return opened;
}

/** The real clock with a wall that tests can move. */
function movableClock() {
  const clock = { shift: 0, ...systemClock, wall: () => systemClock.wall() + clock.shift };
  return clock;
}

const SMALL_SEGMENTS = { segment: { bytes: 16 * 1024, ms: 3_600_000 } };
const FAST: Partial<StorageOptions> = { tuning: { maintenanceIntervalMs: 5, deleteGraceMs: 0 } };
const value = (i: number) => `${i}-${'x'.repeat(4000)}`;

describe('Upkeep', () => {
  it('drops whole segments beyond retention.bytes, and their data', async () => {
    const { storage, engines } = await node({
      ...FAST,
      defaults: { ...SMALL_SEGMENTS, retention: { ms: -1, bytes: 40_000 } },
    });
    const shard = await shardOf(storage, 't');
    for (let i = 0; i < 60; i++) await shard.append([batch([value(i)])]);
    await expect.poll(async () => (await shard.offsets()).logStart).toBeGreaterThan(30);
    const { logStart } = await shard.offsets();
    expect(await readAll(shard)).toEqual(
      Array.from({ length: 60 - logStart }, (_, i) => `${i + logStart}:${value(i + logStart)}`),
    );
    // at least what may be kept is kept
    expect(60 - logStart).toBeGreaterThanOrEqual(10);
    const left = async () => (await engines.get('memory')?.engine.list({ prefix: '', limit: 1000 }))?.length ?? 0;
    await expect.poll(left).toBeLessThan(6);
  });

  it('drops segments by the time of their newest append, the open one too', async () => {
    const clock = movableClock();
    const { storage } = await node({ ...FAST, clock, defaults: { retention: { ms: 60_000, bytes: -1 } } });
    const shard = await shardOf(storage, 't');
    // the clients' own timestamps are old, and from the future: they do not count
    await shard.append([batch(['old'], undefined, 1000)]);
    await shard.append([batch(['new'], undefined, 9_999_999_999_999)]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await shard.offsets()).logStart).toBe(0);
    clock.shift = 120_000;
    await expect.poll(async () => (await shard.offsets()).logStart).toBe(2);
    expect(await shard.append([batch(['next'])])).toMatchObject({ base: 2 });
  });

  it('rolls an open segment by age', async () => {
    const { storage } = await node({ ...FAST, defaults: { segment: { bytes: 1_000_000, ms: 30 } } });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    await expect.poll(async () => (await shard.segments()).map((s) => s.state)).toEqual(['SEALED']);
    await shard.append([batch(['b'])]);
    expect(await readAll(shard)).toEqual(['0:a', '1:b']);
  });

  it('merges small neighbours, under readers, and leaves nothing of them behind', async () => {
    const { storage, engines } = await node({ ...FAST, defaults: { segment: { bytes: 1_000_000, ms: 2 } } });
    const shard = await shardOf(storage, 't');
    for (let i = 0; i < 20; i++) {
      await shard.append([batch([value(i)])]);
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect((await readAll(shard)).length).toBe(i + 1);
    }
    await expect.poll(async () => (await shard.segments()).length).toBeLessThan(10);
    expect(await readAll(shard)).toEqual(Array.from({ length: 20 }, (_, i) => `${i}:${value(i)}`));
    const left = async () => (await engines.get('memory')?.engine.list({ prefix: '', limit: 1000 }))?.length ?? 0;
    await expect.poll(left).toBeLessThan(10);
    expect(await shard.endOffsetForEpoch(1)).toEqual({ epoch: 1, end: 20 });
  });

  it('compacts: the newest record of each key stays, at its offset', async () => {
    const { storage } = await node({ ...FAST, defaults: { ...SMALL_SEGMENTS, cleanup: 'compact' } });
    const shard = await shardOf(storage, 't');
    const random = new SeededRandom(5);
    const newest = new Map<string, number>();
    for (let i = 0; i < 300; i++) {
      const key = `k${Math.floor(random.next() * 20)}`;
      newest.set(key, i);
      await shard.append([keyed(key, value(i))]);
    }
    const records = async () => {
      const found = new Map<string, number[]>();
      for (let at = (await shard.offsets()).logStart; ; ) {
        const { chunks, next } = await shard.read(at, { maxBytes: 100_000 });
        for (const chunk of chunks)
          forEachBatch(chunk, (header, position) => {
            for (const record of decodeRecords(chunk.subarray(position, position + header.bytes))) {
              const key = Buffer.from(record.key ?? '').toString();
              found.set(key, [...(found.get(key) ?? []), record.offset]);
            }
          });
        if (next === at) return found;
        at = next;
      }
    };
    await expect.poll(async () => [...(await records()).values()].flat().length, { timeout: 5000 }).toBeLessThan(60);
    for (const [key, offset] of newest) expect((await records()).get(key)?.at(-1)).toBe(offset);
    expect((await shard.offsets()).committed).toBe(300);
  });

  it('compacts across what was lost in the middle: no deleted key comes back', async () => {
    const meta = new MemoryMeta();
    const kept = await openMemoryInstance('kept', meta);
    const settings = { ...SMALL_SEGMENTS, engine: 'kept', cleanup: 'compact' as const, deleteRetentionMs: 0 };
    const first = await openNode({
      meta,
      engines: new Map([
        ['kept', kept],
        ['wiped', await openMemoryInstance('wiped', meta)],
      ]),
      defaults: settings,
    });
    const before = await shardOf(first.storage, 't');
    for (let i = 0; i < 10; i++) await before.append([keyed('deleted later', value(i))]);
    await first.storage.alterTopic('t', { engine: 'wiped' });
    await before.append([keyed('other', value(0))]);
    await first.storage.alterTopic('t', { engine: 'kept' });
    await before.append([keyed('other', value(1))]);
    await first.close();

    const engines = new Map([
      ['kept', kept],
      ['wiped', await openMemoryInstance('wiped', meta)],
    ]);
    const { storage } = await node({ ...FAST, meta, engines, defaults: settings });
    const shard = await shardOf(storage, 't');
    expect((await shard.segments()).map((segment) => segment.state)).toContain('LOST');
    const tombstone = [{ timestamp: 1, key: Buffer.from('deleted later'), value: null }];
    await shard.append([encodeBatch(tombstone)]);
    const keys = async () => (await readAll(shard)).map((record) => record.split('-')[0]);
    for (let i = 0; i < 40; i++) await shard.append([keyed('filler', value(i))]);
    await expect.poll(async () => (await keys()).length, { timeout: 5000 }).toBeLessThan(20);
    expect((await keys()).filter((one) => /^[0-9]:/.test(one ?? ''))).toEqual([]);
  });

  it('deletes the segments of a deleted topic, and its rows', async () => {
    const { storage, engines, meta } = await node({ ...FAST, defaults: SMALL_SEGMENTS });
    const shard = await shardOf(storage, 't');
    for (let i = 0; i < 30; i++) await shard.append([batch([value(i)])]);
    await storage.deleteTopic('t');
    await expect
      .poll(async () => (await engines.get('memory')?.engine.list({ prefix: '', limit: 1000 }))?.length)
      .toBe(0);
    for (const prefix of ['chain/', 'shard/', 'live/', 'deleting/', 'copy/'])
      await expect.poll(async () => (await meta.list({ prefix })).entries.length, { message: prefix }).toBe(0);
  });

  it('takes back no memory for shards that only wait: 10,000 of them hold one timer', async () => {
    const { storage } = await node({ defaults: { shards: 10_000 } });
    const topic: Topic = await storage.createTopic('many');
    const abort = new AbortController();
    const waiting = storage
      .shards(topic)
      .map((shard) => shard.read(0, { maxBytes: 1, maxWaitMs: 60_000, signal: abort.signal }));
    const settled = Promise.allSettled(waiting);
    await storage.shard(topic, 77).append([batch(['x'])]);
    expect((await waiting[77])?.next).toBe(1);
    abort.abort();
    await settled;
  });
});

describe('A node that dies and comes back on the same engine', () => {
  it('has everything that was acknowledged, once and in order, however often it dies', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const random = new SeededRandom(seed);
      const meta = new MemoryMeta();
      const engines = new Map([
        ['memory', await openMemoryInstance('memory', meta)],
        ['other', await openMemoryInstance('other', meta)],
      ]);
      const acknowledged = new Map<number, string>();
      let sent = 0;
      for (let life = 0; life < 12; life++) {
        const opened = await openNode({ ...FAST, meta, engines, defaults: SMALL_SEGMENTS });
        const shard = await shardOf(opened.storage, 't');
        const appends: Promise<unknown>[] = [];
        for (let i = 0; i < 5 + random.next() * 40; i++) {
          const text = `${sent++}-${'y'.repeat(1000)}`;
          const append = shard.append([batch([text])]).then((r) => acknowledged.set(r.base, text));
          appends.push(append.catch(() => {}));
          if (random.next() < 0.1) await append.catch(() => {});
          if (random.next() < 0.05)
            await opened.storage.alterTopic('t', { engine: random.next() < 0.5 ? 'memory' : 'other' });
        }
        if (random.next() < 0.3) await opened.storage.drain();
        await opened.close();
        await Promise.all(appends);
      }
      const last = await node({ meta, engines, defaults: SMALL_SEGMENTS });
      const records = await readAll(await shardOf(last.storage, 't'));
      const byOffset = new Map(records.map((r) => [Number(r.split(':')[0]), r.slice(r.indexOf(':') + 1)]));
      expect([...byOffset.keys()], `seed ${seed}`).toEqual(Array.from({ length: records.length }, (_, i) => i));
      for (const [offset, text] of acknowledged)
        expect(byOffset.get(offset), `seed ${seed}, offset ${offset}`).toBe(text);
      const order = [...byOffset.values()].map((text) => Number(text.split('-')[0]));
      expect(order, `seed ${seed}`).toEqual([...order].sort((a, b) => a - b));
      expect(new Set(order).size, `seed ${seed}`).toBe(order.length);
    }
  });

  it('remembers idempotent producers across restarts, rolls and engines', async () => {
    const meta = new MemoryMeta();
    const engines = new Map([['memory', await openMemoryInstance('memory', meta)]]);
    let sequence = 0;
    for (let life = 0; life < 6; life++) {
      const opened = await openNode({ meta, engines, defaults: SMALL_SEGMENTS });
      const shard = await shardOf(opened.storage, 't');
      if (sequence > 0) {
        const again = await shard.append([batch([value(sequence - 1)], { id: 3, sequence: sequence - 1 })]);
        expect(again).toMatchObject({ base: sequence - 1, duplicate: true });
      }
      for (let i = 0; i < 11; i++, sequence++) await shard.append([batch([value(sequence)], { id: 3, sequence })]);
      if (life % 2 === 0) await opened.storage.drain();
      await opened.close();
    }
    const last = await node({ meta, engines });
    expect((await readAll(await shardOf(last.storage, 't'))).length).toBe(sequence);
  });

  it('remembers idempotent producers when retention has emptied the log', async () => {
    const clock = movableClock();
    const meta = new MemoryMeta();
    const engines = new Map([['memory', await openMemoryInstance('memory', meta)]]);
    const options = { ...FAST, clock, meta, engines, defaults: { retention: { ms: 60_000, bytes: -1 } } };
    const first = await openNode(options);
    const before = await shardOf(first.storage, 't');
    await before.append([batch(['a'], { id: 7, sequence: 0 })]);
    clock.shift = 120_000;
    await expect.poll(async () => (await before.offsets()).logStart).toBe(1);
    await first.storage.drain();
    await first.close();

    const { storage } = await node(options);
    const shard = await shardOf(storage, 't');
    const again = () => shard.append([batch(['a'], { id: 7, sequence: 0 })]);
    expect(await again()).toEqual({ base: 0, next: 1, duplicate: true });
    expect(await readAll(shard)).toEqual([]);
    // a newer segment knows it, too: then the old one goes
    expect(await shard.append([batch(['b'], { id: 7, sequence: 1 })])).toMatchObject({ base: 1 });
    await expect.poll(async () => (await shard.segments()).map(({ base }) => base)).toEqual([1]);
    expect(await again()).toMatchObject({ duplicate: true });
  });

  it('keeps nothing behind retention for a producer that has been silent for a day', async () => {
    const clock = movableClock();
    const { storage } = await node({ ...FAST, clock, defaults: { retention: { ms: 60_000, bytes: -1 } } });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'], { id: 7, sequence: 0 })]);
    clock.shift = 120_000;
    await expect.poll(async () => (await shard.offsets()).logStart).toBe(1);
    expect(await shard.segments()).toHaveLength(1);
    clock.shift += 25 * 60 * 60 * 1000;
    await expect.poll(async () => (await shard.segments()).length).toBe(0);
  });
});

function keyed(key: string, text: string): Uint8Array {
  return encodeBatch([{ timestamp: 1_700_000_000_000, key: Buffer.from(key), value: Buffer.from(text) }]);
}
