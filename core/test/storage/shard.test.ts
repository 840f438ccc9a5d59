import { MemoryMeta } from '@robustmq/core/testing';
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

describe('Shard', () => {
  it('assigns dense offsets in call order and reads back what was appended', async () => {
    const { storage } = await node();
    const shard = await shardOf(storage, 't');
    const results = await Promise.all([
      shard.append([batch(['a', 'b'])]),
      shard.append([batch(['c'])]),
      shard.append([batch(['d'])]),
    ]);
    expect(results.map((r) => [r.base, r.next])).toEqual([
      [0, 2],
      [2, 3],
      [3, 4],
    ]);
    expect(await readAll(shard)).toEqual(['0:a', '1:b', '2:c', '3:d']);
    expect(await shard.offsets()).toMatchObject({ logStart: 0, committed: 4, lastStable: 4 });
  });

  it('rolls by size and reads across segments', async () => {
    const { storage } = await node({ defaults: { segment: { bytes: 16 * 1024, ms: 3_600_000 } } });
    const shard = await shardOf(storage, 't');
    const wanted: string[] = [];
    for (let i = 0; i < 200; i++) {
      await shard.append([batch([`${i}-${'x'.repeat(500)}`])]);
      wanted.push(`${i}:${i}-${'x'.repeat(500)}`);
    }
    expect((await shard.segments()).length).toBeGreaterThan(5);
    expect(await readAll(shard)).toEqual(wanted);
    const all = await shard.read(0, { maxBytes: 64 * 1024 });
    expect(all.chunks.length).toBeGreaterThan(1);
    expect(all.bytes).toBeLessThanOrEqual(64 * 1024);
  });

  it('answers a batch that is sent again with the first result', async () => {
    const { storage } = await node();
    const shard = await shardOf(storage, 't');
    const first = await shard.append([batch(['a'], { id: 7, sequence: 0 })]);
    const [again, pendingFirst, pendingAgain] = await Promise.all([
      shard.append([batch(['a'], { id: 7, sequence: 0 })]),
      shard.append([batch(['b'], { id: 7, sequence: 1 })]),
      shard.append([batch(['b'], { id: 7, sequence: 1 })]),
    ]);
    expect(again).toEqual({ ...first, duplicate: true });
    expect(pendingAgain).toEqual({ ...pendingFirst, duplicate: true });
    await expect(shard.append([batch(['d'], { id: 7, sequence: 3 })])).rejects.toMatchObject({ code: 'SEQUENCE_GAP' });
    await expect(shard.append([batch(['x'], { id: 7, sequence: 2, epoch: -1 })])).rejects.toMatchObject({
      code: 'BATCH_INVALID',
    });
    expect(await readAll(shard)).toEqual(['0:a', '1:b']);
  });

  it('wakes a waiting read by the commit and by the deadline, on one timer', async () => {
    const { storage } = await node();
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    const waiting = Array.from({ length: 1000 }, () => shard.read(1, { maxBytes: 1000, maxWaitMs: 10_000 }));
    const late = shard.read(1, { maxBytes: 1000, maxWaitMs: 20 });
    expect((await late).bytes).toBe(0);
    await shard.append([batch(['b'])]);
    for (const read of await Promise.all(waiting)) expect(read.next).toBe(2);
  });

  it('says where a log begins and ends to a reader outside of it', async () => {
    const { storage } = await node();
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a', 'b', 'c'])]);
    expect(await shard.trim(2)).toBe(2);
    await expect(shard.read(1, { maxBytes: 10 })).rejects.toMatchObject({
      code: 'OFFSET_TRIMMED',
      offsets: { start: 2, end: 3 },
    });
    await expect(shard.read(4, { maxBytes: 10 })).rejects.toMatchObject({ code: 'OFFSET_BEYOND_END' });
    expect((await shard.read(2, { maxBytes: 10 })).next).toBe(3);
  });

  it('finds the first record at or after a timestamp, with timestamps out of order', async () => {
    const { storage } = await node();
    const shard = await shardOf(storage, 't');
    for (const timestamp of [1000, 5000, 2000, 7000]) await shard.append([batch(['x'], undefined, timestamp)]);
    expect(await shard.offsetForTimestamp(1500)).toEqual({ offset: 1, timestamp: 5000 });
    expect(await shard.offsetForTimestamp(6000)).toEqual({ offset: 3, timestamp: 7000 });
    expect(await shard.offsetForTimestamp(8000)).toBeUndefined();
  });

  it('never uses an offset again after the memory it was in is gone', async () => {
    const meta = new MemoryMeta();
    const first = await node({ meta, engines: new Map([['memory', await openMemoryInstance('memory', meta)]]) });
    const before = await (await shardOf(first.storage, 't')).append([batch(['a', 'b'])]);
    await first.close();
    const second = await node({ meta, engines: new Map([['memory', await openMemoryInstance('memory', meta)]]) });
    const shard = await shardOf(second.storage, 't');
    const { logStart, committed } = await shard.offsets();
    expect(logStart).toBe(committed);
    expect(logStart).toBeGreaterThan(before.next);
    const after = await shard.append([batch(['c'])]);
    expect(after.base).toBe(logStart);
    expect(await readAll(shard)).toEqual([`${after.base}:c`]);
  });

  it('moves a topic to another engine while it is written, and moves its data behind it', async () => {
    const meta = new MemoryMeta();
    const engines = new Map([
      ['memory', await openMemoryInstance('memory', meta)],
      ['other', await openMemoryInstance('other', meta)],
    ]);
    const { storage } = await node({ meta, engines, tuning: { maintenanceIntervalMs: 10 } });
    const shard = await shardOf(storage, 't');
    let sent = 0;
    let stop = false;
    const producing = (async () => {
      while (!stop) {
        await shard.append([batch([`${sent++}`])]);
        // nothing in memory leaves the microtask queue by itself
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (const engine of ['other', 'memory', 'other']) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const topic = await storage.alterTopic('t', { engine });
      expect(topic.settings.engine).toBe(engine);
      expect(topic.origins.engine).toBe('topic');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    stop = true;
    await producing;
    await expect
      .poll(
        async () => (await shard.segments()).filter((s) => s.instance === 'memory' && s.state !== 'DELETING').length,
      )
      .toBe(0);
    expect(await readAll(shard)).toEqual(Array.from({ length: sent }, (_, i) => `${i}:${i}`));
  });

  it('drops the oldest data of an engine that is out of room, and goes on', async () => {
    const meta = new MemoryMeta();
    const engines = new Map([['memory', await openMemoryInstance('memory', meta, 32 * 1024 * 1024)]]);
    const { storage } = await node({ meta, engines, defaults: { segment: { bytes: 1024 * 1024, ms: 3_600_000 } } });
    const shard = await shardOf(storage, 't');
    const value = 'x'.repeat(100_000);
    for (let i = 0; i < 800; i++) await shard.append([batch([value])]);
    const { logStart, committed } = await shard.offsets();
    expect(committed).toBe(800);
    expect(logStart).toBeGreaterThan(200);
    expect((await readAll(shard)).length).toBe(800 - logStart);
  });

  it('fails what comes after a topic is deleted, and gives a new topic of that name a new log', async () => {
    const { storage } = await node();
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    await storage.deleteTopic('t');
    await expect(shard.append([batch(['b'])])).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
    await expect(storage.deleteTopic('t')).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
    const again = await shardOf(storage, 't');
    expect(await again.append([batch(['c'])])).toMatchObject({ base: 0 });
    expect(await readAll(again)).toEqual(['0:c']);
  });
});
