import { describe, expect, test } from 'vitest';
import { ReadAhead } from '../src/read/read-ahead.ts';
import { batch } from './batches.ts';
import { ImageWorld, image } from './image-world.ts';

const BATCH = 1000;
/** 100 batches of 1000 bytes: pieces of 4096 hold four and a bit. */
const IMAGE = image(
  Array.from({ length: 100 }, (_, i) => batch({ base: i, payloadBytes: BATCH - 61 })),
  { base: 0, end: 100, blockBytes: BATCH },
);

async function reading(options: { ahead: number; cacheBytes?: number }) {
  const world = new ImageWorld({ pieceBytes: 4096, cacheBytes: options.cacheBytes ?? 1 << 20, mergePieces: 8 });
  const places = world.place('k', IMAGE, IMAGE);
  const reader = await world.open(places[0], { readAheadPieces: options.ahead });
  world.store.asked.length = 0;
  /** The pieces that a read of a batch made it ask for. */
  const read = async (offset: number): Promise<number[]> => {
    await reader.read(offset, { maxBytes: BATCH });
    await new Promise((resolve) => setImmediate(resolve));
    return world.store.asked
      .splice(0)
      .flatMap(({ at, bytes }) => Array.from({ length: Math.ceil(bytes / 4096) }, (_, i) => at / 4096 + i));
  };
  return { world, reader, read };
}

describe('reading ahead', () => {
  test('begins with one piece, doubles with each piece that is got through, and ends with the image', async () => {
    const { read, reader } = await reading({ ahead: 4 });
    const asked: number[][] = [];
    for (let i = 0; i < 100; i++) asked.push(await read(i));
    const flat = asked.flat();
    // each piece once, none behind the image's own
    expect(flat).toEqual(Array.from({ length: 25 }, (_, i) => i));
    expect(asked[0]).toEqual([0]);
    expect(asked[1]).toEqual([1]);
    expect(asked.find((pieces, i) => i > 1 && pieces.length > 0)).toEqual([2, 3]);
    // in halves of the window: pieces share requests
    expect(asked.filter((pieces) => pieces.length > 0).length).toBe(13);
    await reader.close();
  });

  test('goes on when a batch is read once more that did not fit behind others', async () => {
    const { reader, world } = await reading({ ahead: 4 });
    // as Kafka's fetch does: two batches fit, the room that is left is tried as well, and what comes is too large for it
    for (let i = 0; i < 100; i += 2) {
      expect((await reader.read(i, { maxBytes: 2.5 * BATCH })).next).toBe(i + 2);
      await reader.read(i + 2, { maxBytes: BATCH / 2 });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { asked } = world.store;
    const pieces = asked.flatMap(({ at, bytes }) =>
      Array.from({ length: Math.ceil(bytes / 4096) }, (_, i) => at / 4096 + i),
    );
    expect(pieces).toEqual(Array.from({ length: 25 }, (_, i) => i));
    expect(asked.some(({ options }) => options?.signal?.aborted)).toBe(false);
    // in requests that pieces share
    expect(asked.length).toBeLessThan(15);
  });

  test('ends with a jump, and begins anew', async () => {
    const { read, world } = await reading({ ahead: 8 });
    for (let i = 0; i < 30; i++) await read(i);
    expect(await read(88)).toEqual([21]);
    expect(await read(10)).toEqual([]);
    expect(await read(70)).toEqual([17]);
    expect(await read(71)).toEqual([18]);
    // two have read on, and may again; after a while they may have gone
    expect(world.pieces.aheadShare).toBe(Math.floor((1 << 20) / 2 / 4096 / 2));
    await world.clock.advance(11_000);
    expect(world.pieces.aheadShare).toBe(Math.floor((1 << 20) / 2 / 4096));
  });

  test('of two at different places of one segment does not end with each read of the other', async () => {
    const { read, world } = await reading({ ahead: 4 });
    const asked: number[][] = [];
    for (let i = 0; i < 40; i++) asked.push(await read(i), await read(i + 50));
    // each piece once, in requests that pieces share, as for one who reads alone
    const flat = asked.flat();
    expect(new Set(flat).size).toBe(flat.length);
    expect(asked.filter((pieces) => pieces.length > 1).length).toBeGreaterThan(5);
    expect(world.store.asked.some(({ options }) => options?.signal?.aborted)).toBe(false);
  });

  test('is not lost by one who reads on while others jump about', async () => {
    const { reader, read, world } = await reading({ ahead: 4 });
    await read(0);
    let late = 0;
    for (let i = 1; i < 45; i++) {
      for (const jump of [50 + ((i * 7) % 50), 50 + ((i * 11) % 50)]) await reader.read(jump, { maxBytes: 10 });
      world.store.asked.length = 0;
      // what it needs now is there before it asks
      if ((await read(i)).includes(Math.floor(((i + 1) * BATCH) / 4096))) late++;
    }
    expect(late).toBe(0);
  });

  test('goes on through more segments than have a share, whose readers all stay open', async () => {
    const world = new ImageWorld({ pieceBytes: 4096, cacheBytes: 4096 * 32, mergePieces: 8 });
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
    let requests = 0;
    for (const key of keys) {
      const reader = await world.open(world.place(key, IMAGE)[0], { readAheadPieces: 8 });
      world.store.asked.length = 0;
      for (let i = 0; i < 100; i++) {
        await reader.read(i, { maxBytes: BATCH });
        await new Promise((resolve) => setImmediate(resolve));
      }
      requests = world.store.asked.length;
    }
    // 25 pieces; with nothing ahead each would be a request
    expect(requests).toBeLessThan(12);
  });

  test('is not done for those who jump about, nor when it is not wanted', async () => {
    const { read } = await reading({ ahead: 8 });
    for (const offset of [0, 50, 21, 88]) expect((await read(offset)).length).toBe(1);
    const none = await reading({ ahead: 0 });
    for (let i = 0; i < 20; i++) expect((await none.read(i)).length).toBeLessThan(2);
  });

  test('of many at once leaves half of the cache to others', async () => {
    const { world } = await reading({ ahead: 8, cacheBytes: 4096 * 16 });
    const object = { key: 'k', objectBytes: IMAGE.bytes.length * 2 };
    expect(world.pieces.aheadShare).toBe(8);
    const all = Array.from({ length: 4 }, () => new ReadAhead(world.pieces, object, 100_000, 8, {}));
    for (const one of all) {
      one.moved(10, false);
      one.moved(20, true);
    }
    expect(world.pieces.aheadShare).toBe(2);
    for (const one of all) one.close();
    for (const one of all) one.close();
    expect(world.pieces.aheadShare).toBe(8);
  });

  test('is given up when the reader is closed', async () => {
    const { world, read, reader } = await reading({ ahead: 8 });
    await read(0);
    world.store.gate = () => new Promise(() => {});
    const signals = world.store.asked;
    await reader.read(1, { maxBytes: BATCH });
    await new Promise((resolve) => setImmediate(resolve));
    expect(signals.map(({ options }) => options?.signal?.aborted)).toEqual([false]);
    await reader.close();
    expect(signals.map(({ options }) => options?.signal?.aborted)).toEqual([true]);
  });
});
