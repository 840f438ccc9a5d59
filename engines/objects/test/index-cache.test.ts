import { describe, expect, test } from 'vitest';
import { BLOCK_ENTRY_BYTES, FOOTER_BYTES } from '../src/image/format.ts';
import { TAIL_BYTES } from '../src/image/index-cache.ts';
import { batch } from './batches.ts';
import { codeOf, ImageWorld, image, readAll, type TestImage } from './image-world.ts';

function ofBlocks(count: number, payloadBytes = 30): TestImage {
  const batches = Array.from({ length: count }, (_, i) => batch({ base: i, payloadBytes }));
  return image(batches, { base: 0, end: count, blockBytes: 1 });
}

describe('the index of an image', () => {
  test('comes with one request from its tail, which also tells how large the object is', async () => {
    const world = new ImageWorld();
    const [place] = world.place('k', ofBlocks(1000));
    await world.open(place);
    await world.open(place);
    const { objectBytes = 0 } = place ?? {};
    expect(world.store.asked).toEqual([{ key: 'k', at: objectBytes - TAIL_BYTES, bytes: TAIL_BYTES }]);
    expect(world.pieces.stats().bytes).toBe(0);
  });

  test('that is longer than the tail comes with one more', async () => {
    const world = new ImageWorld();
    const [place] = world.place('k', ofBlocks(3000));
    const reader = await world.open(place);
    expect(world.store.asked.map(({ bytes }) => bytes)).toEqual([
      TAIL_BYTES,
      3000 * BLOCK_ENTRY_BYTES + FOOTER_BYTES - TAIL_BYTES,
    ]);
    expect((await readAll(reader, 0, 1 << 20)).length).toBe(3000 * 91);
  });

  test('of a small image comes as pieces, and with it what lies around', async () => {
    const world = new ImageWorld();
    const places = world.place('k', ofBlocks(5), ofBlocks(7), ofBlocks(9));
    for (const place of places) {
      const reader = await world.open(place);
      expect((await readAll(reader, 0, 100)).length).toBe(reader.offsets().end * 91);
      await reader.state();
    }
    expect(world.store.asked.length).toBe(1);
  });

  test('is asked for once by many, and not given up by the first of them', async () => {
    const world = new ImageWorld();
    const [place] = world.place('k', ofBlocks(1000), ofBlocks(1));
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    world.store.gate = () => gate;
    const first = new AbortController();
    const opened = [world.open(place, { signal: first.signal }), world.open(place), world.open(place)];
    first.abort();
    go();
    expect((await Promise.all(opened)).length).toBe(3);
    expect(world.store.asked.length).toBe(1);
  });

  test('that could not be had is asked for again', async () => {
    const world = new ImageWorld();
    const [place] = world.place('k', ofBlocks(1000));
    const object = world.store.objects.get('k') ?? Buffer.alloc(0);
    world.store.objects.delete('k');
    expect(await codeOf(world.open(place))).toBe('SEGMENT_LOST');
    world.store.objects.set('k', object);
    expect(await codeOf(world.open(place))).toBe('nothing');
  });

  test('is kept while there is room: the least used go first', async () => {
    const one = ofBlocks(1000);
    const world = new ImageWorld({ indexBytes: 200_000 });
    const [a, b, c] = ['a', 'b', 'c'].map((key) => world.place(key, one)[0]);
    for (const place of [a, b, a, c, a]) await world.open(place);
    expect(world.store.asked.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
    expect(world.indexes.bytes).toBeLessThan(200_000);
    await world.open(b);
    expect(world.store.asked.map(({ key }) => key)).toEqual(['a', 'b', 'c', 'b']);
    world.indexes.drop('a');
    world.indexes.drop('b');
    expect(world.indexes.bytes).toBe(0);
  });

  test('takes nothing with it when it is too large to be kept', async () => {
    const world = new ImageWorld({ indexBytes: 10 });
    const [place] = world.place('k', ofBlocks(1000));
    const reader = await world.open(place);
    expect(world.indexes.bytes).toBe(0);
    expect((await reader.read(999, { maxBytes: 1 })).next).toBe(1000);
  });
});

describe('a reader', () => {
  test('checks a block once for as long as it stays in memory', async () => {
    const world = new ImageWorld({ pieceBytes: 1 << 20 });
    const [place] = world.place('k', ofBlocks(1000));
    const reader = await world.open(place);
    const { bytes } = await reader.read(0, { maxBytes: 1 });
    // it is ours, so this can only happen in a test: nobody looks again
    bytes[70] = 0xee;
    expect((await reader.read(0, { maxBytes: 1 })).bytes[70]).toBe(0xee);
    world.pieces.drop('k');
    expect((await reader.read(0, { maxBytes: 1 })).bytes[70]).not.toBe(0xee);
  });

  test('gives bytes of one piece without a copy', async () => {
    const world = new ImageWorld({ pieceBytes: 1 << 20 });
    const [place] = world.place('k', ofBlocks(1000));
    const reader = await world.open(place);
    const [one, two] = [await reader.read(0, { maxBytes: 500 }), await reader.read(500, { maxBytes: 500 })];
    expect(one.bytes.buffer).toBe(two.bytes.buffer);
  });

  test('refuses once it is closed, or its caller has gone', async () => {
    const world = new ImageWorld();
    const [place] = world.place('k', ofBlocks(3));
    const reader = await world.open(place);
    const signal = AbortSignal.abort();
    expect(await codeOf(reader.read(0, { maxBytes: 1, signal }))).toBe('ABORTED');
    await reader.close();
    await reader.close();
    for (const call of [reader.read(0, { maxBytes: 1 }), reader.state(), reader.offsetForTimestamp(0)])
      expect(await codeOf(call)).toBe('CLOSED');
  });

  test('of an empty segment gives nothing, up to its end', async () => {
    const world = new ImageWorld();
    const [place] = world.place('k', image([], { base: 5, end: 9, state: Buffer.alloc(0) }));
    const reader = await world.open(place);
    expect(reader.offsets()).toEqual({ base: 5, committed: 9, end: 9, sealed: true });
    expect(await reader.read(5, { maxBytes: 100 })).toEqual({ bytes: new Uint8Array(0), next: 9 });
    expect(await reader.offsetForTimestamp(0)).toBeUndefined();
    expect((await reader.state()).length).toBe(0);
    expect(reader.footer).toMatchObject({ minTs: -1, maxTs: -1, blocks: 0, digest: 0 });
  });
});
