import { nextOffset, readHeader } from '@robustmq/core';
import memory from '@robustmq/engine-memory';
import { describe, expect, it } from 'vitest';
import { batch, create, MiB, open } from './world.ts';

describe('the memory engine', () => {
  it('says that its medium is another one each time it is opened', async () => {
    const first = await open(64 * MiB, 1);
    const second = await open(64 * MiB, 2);
    expect(first.engine.incarnation).not.toBe(second.engine.incarnation);
  });

  it('never takes a segment of another process for one that never was', async () => {
    const { engine } = await open(64 * MiB);
    await expect(engine.recover('s', { epoch: 9 })).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
    await expect(engine.openReader('s')).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
  });

  it('asks for a new segment when one has its share, and takes a large append into an empty one all the same', async () => {
    const { engine } = await open(32 * MiB); // a share is 4 MiB
    const writer = await engine.create('s', { base: 0, ...create });
    await writer.append([batch(0, 8 * MiB)], { base: 0 });
    await expect(writer.append([batch(1)], { base: 1 })).rejects.toMatchObject({
      code: 'SEGMENT_MUST_ROLL',
      outcome: 'none',
    });
    expect(await writer.seal()).toEqual({ end: 1 });
  });

  it('reports pressure, then refuses and lets wait at its limit, and is well again when segments go', async () => {
    const { engine, health } = await open(32 * MiB);
    const sealed: string[] = [];
    let base = 0;
    while (health.length === 0) {
      const id = `s-${base}`;
      const writer = await engine.create(id, { base, ...create });
      await writer.append([batch(base, 3 * MiB)], { base });
      await writer.seal();
      await writer.close();
      sealed.push(id);
      base++;
    }
    expect(health[0]?.status).toBe('pressure');
    const writer = await engine.create('last', { base, ...create });
    const wait = writer.ready(8 * MiB);
    expect(wait).toBeInstanceOf(Promise);
    await expect(writer.append([batch(base, 8 * MiB)], { base })).rejects.toMatchObject({ code: 'BACKPRESSURE' });
    for (const id of sealed) await engine.delete(id);
    await wait;
    expect(health.map(({ status }) => status)).toEqual(['pressure', 'ok']);
    expect(await writer.append([batch(base, 8 * MiB)], { base })).toEqual({ next: base + 1 });
  });

  it('ends the wait for credit of a writer that is fenced, deleted, sealed or closed', async () => {
    const { engine } = await open(32 * MiB);
    const full = await engine.create('full', { base: 0, ...create });
    await full.append([8, 7, 7].map((size, i) => batch(i, size * MiB)).slice(0, 2), { base: 0 });
    const more = await engine.create('more', { base: 0, ...create });
    await more.append([batch(0, 8 * MiB), batch(1, 7 * MiB)], { base: 0 });
    const ends = {
      fenced: () => engine.recover('fenced', { epoch: 2 }),
      deleted: () => engine.delete('deleted'),
    };
    for (const [id, end] of Object.entries(ends)) {
      const writer = await engine.create(id, { base: 0, ...create });
      const wait = expect(writer.ready(8 * MiB)).rejects.toMatchObject({ code: 'FENCED' });
      await end();
      await wait;
    }
    const sealed = await engine.create('sealed', { base: 0, ...create });
    const wait = expect(sealed.ready(8 * MiB)).rejects.toMatchObject({ code: 'SEGMENT_SEALED' });
    await sealed.seal();
    await wait;
    const closed = await engine.create('closed', { base: 0, ...create });
    const last = expect(closed.ready(8 * MiB)).rejects.toMatchObject({ code: 'CLOSED' });
    await engine.close();
    await last;
  });

  it('lets small appends in when a large one in front of them no longer waits', async () => {
    const { engine } = await open(32 * MiB);
    for (const [id, sizes] of Object.entries({ one: [8, 7], two: [8, 4], three: [3] })) {
      const writer = await engine.create(id, { base: 0, ...create });
      await writer.append(
        sizes.map((size, i) => batch(i, size * MiB)),
        { base: 0 },
      );
    }
    const large = await engine.create('large', { base: 0, ...create });
    const small = await engine.create('small', { base: 0, ...create });
    const largeWait = expect(large.ready(8 * MiB)).rejects.toMatchObject({ code: 'FENCED' });
    const smallWait = small.ready(2 * MiB);
    expect(smallWait).toBeInstanceOf(Promise);
    await engine.delete('three'); // room for the small one, which stands behind the large one
    await engine.delete('large');
    await largeWait;
    await smallWait;
  });

  it('finds every offset and every timestamp among thousands of batches', async () => {
    const { engine } = await open(256 * MiB);
    const writer = await engine.create('s', { base: 100, ...create });
    const batches = 20_000;
    for (let i = 0; i < batches; i++)
      // timestamps go up by 10, with one in seven out of order
      await writer.append([batch(100 + i, 80 + (i % 50), i * 10 - (i % 7 === 0 ? 500 : 0))], { base: 100 + i });
    for (let i = 0; i < batches; i += 37) {
      const { bytes, next } = await writer.read(100 + i, { maxBytes: 1 });
      expect(readHeader(bytes).baseOffset).toBe(100 + i);
      expect(next).toBe(nextOffset(readHeader(bytes)));
      const timestamp = i * 10;
      const first = i % 7 === 0 ? i + 1 : i; // a batch out of order holds an older one
      expect(await writer.offsetForTimestamp(timestamp)).toBe(100 + first);
    }
    expect(await writer.offsetForTimestamp(batches * 10)).toBeUndefined();
  });

  it('gives readers views of what it holds, and copies nothing', async () => {
    const { engine } = await open(64 * MiB);
    const writer = await engine.create('s', { base: 0, ...create });
    await writer.append([batch(0, 5000), batch(1, 5000)], { base: 0 });
    const first = await writer.read(0, { maxBytes: 5000 });
    const again = await writer.read(0, { maxBytes: 5000 });
    expect(first.bytes.buffer).toBe(again.bytes.buffer);
  });

  it('holds 10,000 idle segments in little memory', async () => {
    const { engine } = await open(256 * MiB);
    const before = process.memoryUsage();
    for (let i = 0; i < 10_000; i++) {
      const writer = await engine.create(`s-${i}`, { base: 0, ...create });
      await writer.append([batch(0)], { base: 0 });
    }
    const after = process.memoryUsage();
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(100 * MiB);
    expect((await engine.list({ prefix: 's-', limit: 10_000 })).length).toBe(10_000);
  });

  it('gives back every byte of deleted segments', async () => {
    const { engine } = await open(32 * MiB);
    for (let i = 0; i < 200; i++) {
      const writer = await engine.create(`s-${i}`, { base: 0, ...create });
      await writer.append([batch(0, 3 * MiB)], { base: 0 });
      await engine.delete(`s-${i}`);
      await writer.close();
    }
    expect(await engine.list({ prefix: '', limit: 10 })).toEqual([]);
  });

  it('has a schema whose default is a limit that it can work with', () => {
    expect(memory.configSchema).toMatchObject({ additionalProperties: false });
    expect(memory.capabilities).toMatchObject({ durability: 'none', placement: 'node', append: true });
  });
});
