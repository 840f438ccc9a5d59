import { systemClock } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { Pieces } from '../src/read/pieces.ts';
import { joinViews } from '../src/read/run.ts';
import { codeOf } from './image-world.ts';
import { StoredObjects } from './stored-objects.ts';

const OBJECT = Buffer.from(Array.from({ length: 1050 }, (_, i) => i % 251));
const PLACE = { key: 'k', objectBytes: OBJECT.length };

function world(options: { cacheBytes?: number; mergePieces?: number } = {}) {
  const store = new StoredObjects();
  store.objects.set('k', OBJECT);
  const pieces = new Pieces(store, { clock: systemClock, pieceBytes: 100, cacheBytes: 10_000, ...options });
  const range = async (at: number, bytes: number, signal?: AbortSignal) =>
    Buffer.from(joinViews(await pieces.range(PLACE, at, bytes, signal === undefined ? {} : { signal })));
  const asked = () => store.asked.splice(0).map(({ at, bytes }) => [at, bytes]);
  return { store, pieces, range, asked };
}

/** A gate that is held until it is let go. */
function hold(store: StoredObjects): (failure?: Error) => void {
  let go = (_failure?: Error): void => {};
  const gate = new Promise<void>((resolve, reject) => {
    go = (failure) => (failure === undefined ? resolve() : reject(failure));
  });
  gate.catch(() => {});
  store.gate = () => gate;
  return go;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('pieces of objects', () => {
  test('are asked for whole, at multiples of their size, and once', async () => {
    const { range, asked, pieces } = world();
    expect(await range(150, 20)).toEqual(OBJECT.subarray(150, 170));
    expect(asked()).toEqual([[100, 100]]);
    expect(await range(199, 1)).toEqual(OBJECT.subarray(199, 200));
    expect(await range(0, 0)).toEqual(Buffer.alloc(0));
    expect(asked()).toEqual([]);
    // the last one is as long as the object
    expect(await range(1010, 40)).toEqual(OBJECT.subarray(1010, 1050));
    expect(asked()).toEqual([[1000, 50]]);
    expect(pieces.stats()).toEqual({ bytes: 150, hits: 1, misses: 2 });
  });

  test('in a row that are missing are one request, up to a limit, around those that are there', async () => {
    const { range, asked } = world({ mergePieces: 3 });
    await range(450, 1);
    expect(asked()).toEqual([[400, 100]]);
    expect(await range(0, 1050)).toEqual(OBJECT);
    expect(asked()).toEqual([
      [0, 300],
      [300, 100],
      [500, 300],
      [800, 250],
    ]);
    expect(await range(0, 1050)).toEqual(OBJECT);
    expect(asked()).toEqual([]);
  });

  test('on their way are waited for by all who ask, with one request', async () => {
    const { store, range, asked } = world();
    const go = hold(store);
    const reads = [range(0, 150), range(120, 10), range(150, 100), range(0, 1)];
    await turn();
    expect(asked()).toEqual([
      [0, 200],
      [200, 100],
    ]);
    go();
    expect(await Promise.all(reads)).toEqual([
      OBJECT.subarray(0, 150),
      OBJECT.subarray(120, 130),
      OBJECT.subarray(150, 250),
      OBJECT.subarray(0, 1),
    ]);
  });

  test('that could not be had are told to all who wait, and asked for again by the next', async () => {
    const { store, range, asked } = world();
    const go = hold(store);
    const reads = [range(0, 10), range(5, 10)].map((read) => read.catch((error: Error) => error.message));
    await turn();
    go(new Error('cut'));
    expect(await Promise.all(reads)).toEqual(['cut', 'cut']);
    store.gate = async () => {};
    expect(await range(0, 10)).toEqual(OBJECT.subarray(0, 10));
    expect(asked()).toEqual([
      [0, 100],
      [0, 100],
    ]);
  });

  test('are not lost to others when one gives up, and given up when all have', async () => {
    const { store, range, asked } = world();
    const go = hold(store);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = codeOf(range(0, 10, one.signal));
    const second = range(0, 10, two.signal);
    await turn();
    one.abort();
    expect(await first).toBe('ABORTED');
    expect(store.asked[0]?.options?.signal?.aborted).toBe(false);
    go();
    expect(await second).toEqual(OBJECT.subarray(0, 10));
    // with nobody left
    const later = hold(store);
    const third = codeOf(range(100, 10, one.signal));
    expect(await third).toBe('ABORTED');
    const alone = codeOf(range(100, 10, two.signal));
    await turn();
    two.abort();
    expect(await alone).toBe('ABORTED');
    expect(store.asked.at(-1)?.options?.signal?.aborted).toBe(true);
    // and the next one asks for itself
    const next = range(100, 10);
    await turn();
    later();
    expect(await next).toEqual(OBJECT.subarray(100, 110));
    expect(asked()).toEqual([
      [0, 100],
      [100, 100],
      [100, 100],
    ]);
  });

  test('used least go first; what was handed out stays as it is', async () => {
    const { range, asked, pieces } = world({ cacheBytes: 300 });
    const handed = await pieces.range(PLACE, 0, 100);
    await range(100, 1);
    await range(200, 1);
    await range(0, 1);
    await range(300, 1);
    asked();
    await range(0, 1);
    await range(200, 1);
    expect(asked()).toEqual([]);
    await range(100, 1);
    expect(asked()).toEqual([[100, 100]]);
    expect(pieces.stats().bytes).toBe(300);
    for (let at = 0; at < 1000; at += 100) await range(at, 1);
    expect(Buffer.from(joinViews(handed))).toEqual(OBJECT.subarray(0, 100));
  });

  test('that make more than the cache are given, and not kept', async () => {
    const { range, asked, pieces } = world({ cacheBytes: 250 });
    expect(await range(0, 400)).toEqual(OBJECT.subarray(0, 400));
    expect(pieces.stats().bytes).toBe(0);
    expect(await range(0, 1)).toEqual(OBJECT.subarray(0, 1));
    expect(asked()).toEqual([
      [0, 400],
      [0, 100],
    ]);
  });

  test('of an object that was just stored are there, without a copy', async () => {
    const { range, asked, pieces } = world();
    const chunks = [OBJECT.subarray(0, 30), OBJECT.subarray(30, 555), OBJECT.subarray(555)];
    pieces.put('k', chunks);
    expect(await range(20, 600)).toEqual(OBJECT.subarray(20, 620));
    const [view] = await pieces.range(PLACE, 40, 200);
    expect(view?.bytes.buffer).toBe(OBJECT.buffer);
    expect(await range(0, 1050)).toEqual(OBJECT);
    expect(asked()).toEqual([]);
    expect(pieces.stats().bytes).toBe(1050);
    pieces.put('k', chunks);
    expect(pieces.stats().bytes).toBe(1050);
    pieces.drop('k');
    expect(pieces.stats().bytes).toBe(0);
    await range(0, 1);
    expect(asked()).toEqual([[0, 100]]);
  });

  test('of an object that is dropped while they are on their way are given, and not kept', async () => {
    const { store, range, pieces } = world();
    const go = hold(store);
    const read = range(0, 10);
    await turn();
    pieces.drop('k');
    go();
    expect(await read).toEqual(OBJECT.subarray(0, 10));
    expect(pieces.stats().bytes).toBe(0);
  });

  test('outside of the object are refused', async () => {
    const { range, pieces } = world();
    for (const [at, bytes] of [
      [-1, 5],
      [1050, 1],
      [0, 1051],
      [0, Number.NaN],
    ] as const)
      expect(await codeOf(range(at, bytes))).toBe('INVALID_ARGUMENT');
    pieces.put('k', [OBJECT]);
    expect(pieces.kept(PLACE, 1000, 100)).toBeUndefined();
    expect(pieces.kept(PLACE, 1000, 50)).toHaveLength(1);
  });
});
