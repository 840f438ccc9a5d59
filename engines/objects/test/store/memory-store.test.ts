import { SeededRandom, VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import { Bucket, type BucketOptions } from '../support/bucket.ts';
import { MemoryStore, type MemoryStoreOptions } from '../support/memory-store.ts';
import { CALM, ROUGH } from '../support/weather.ts';
import { troubleOf } from './contract.ts';

function world(seed: number, store: Partial<MemoryStoreOptions> = {}, bucket: Partial<BucketOptions> = {}) {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const opened = new Bucket({ clock, random, ...bucket });
  const connect = (own: Partial<MemoryStoreOptions> = {}) =>
    new MemoryStore({ bucket: opened, clock, random, ...store, ...own });
  return { clock, random, bucket: opened, store: connect(), connect };
}

const x = [Buffer.from('x')];

/** What a run of many requests in rough weather comes to. */
async function trace(seed: number): Promise<string[]> {
  const { clock, bucket, store } = world(seed, { weather: ROUGH });
  const events: string[] = [];
  for (let i = 0; i < 200; i++) {
    const key = `k${i % 7}`;
    const ask = [
      () => store.put(key, [Buffer.from(`${i}`)], { uid: `u${i}`, ifAbsent: i % 2 === 0 }),
      () => store.getRange(key, 0, 1),
      () => store.head(key),
      () => store.delete(key),
      () => store.list({ prefix: 'k', limit: 3 }),
    ][i % 5];
    const note = (what: string) => events.push(`${Math.round(clock.monotonic())} ${i} ${what}`);
    ask?.().then(
      (value) => note(JSON.stringify(value) ?? 'done'),
      (error: { trouble: string }) => note(error.trouble),
    );
    await clock.advance(30);
  }
  await clock.advance(3_600_000);
  return [...events, ...[...bucket.objects].map(([key, { uid }]) => `${key} ${uid}`)];
}

test('the same seed is the same weather, another seed another', async () => {
  const first = await trace(7);
  expect(first.length).toBeGreaterThan(200);
  expect(await trace(7)).toEqual(first);
  expect(await trace(8)).not.toEqual(first);
});

test('rough weather has everything in it', async () => {
  const seen = new Set((await Promise.all([1, 2, 3].map(trace))).flat().map((event) => event.split(' ')[2]));
  for (const trouble of ['unreachable', 'timeout', 'slow-down', 'server', 'truncated', 'exists', 'done'])
    expect(seen, trouble).toContain(trouble);
});

describe('a request', () => {
  test('that is late arrives after the caller was told, after other calls, and after its connection is closed', async () => {
    const { clock, bucket, store, connect } = world(1, { requestTimeoutMs: 1000 });
    const zombie = connect({ interfere: () => ({ kind: 'late', byMs: 60_000 }) });
    const putting = troubleOf(zombie.put('a', x, { uid: 'zombie' }));
    await clock.advance(1000);
    expect(await putting).toBe('timeout');
    zombie.close();
    await store.put('a', x, { uid: 'second' });
    await store.delete('a');
    await clock.advance(60_000);
    expect(bucket.get('a').uid).toBe('zombie');
  });

  test('that was sent goes on when its caller gives up', async () => {
    const { clock, bucket, store } = world(1, { weather: { ...CALM, delayMs: 100 } });
    const giving = new AbortController();
    const putting = troubleOf(store.put('a', x, { uid: 'u', signal: giving.signal }));
    giving.abort();
    expect(await putting).toBe('aborted');
    expect(bucket.objects.size).toBe(0);
    await clock.advance(300);
    expect(bucket.objects.size).toBe(1);
  });

  test('may overtake another', async () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const { clock, bucket, store } = world(seed, { weather: { ...CALM, delayMs: 100 } });
      const puts = [store.put('a', x, { uid: 'first' }), store.put('a', x, { uid: 'second' })];
      await clock.advance(300);
      await Promise.all(puts);
      orders.add(bucket.get('a').uid);
    }
    expect([...orders].sort()).toEqual(['first', 'second']);
  });

  test('whose body is changed before it has settled is found out', async () => {
    const { clock, store } = world(1, { weather: { ...CALM, delayMs: 100 } });
    const body = Buffer.from('before');
    const putting = store.put('a', [body], { uid: 'u' });
    const outcome = expect(putting).rejects.toThrow('the body was changed');
    body.fill(0);
    await clock.advance(300);
    await outcome;
  });
});

describe('a bucket', () => {
  test('notes when a name is used for something else', async () => {
    const { bucket, store } = world(1);
    for (const uid of ['a', 'a', 'b']) await store.put('k', x, { uid });
    expect(bucket.overwritten).toEqual([{ key: 'k', was: 'a', is: 'b' }]);
  });

  test('with a stale LIST misses what is new and shows what is gone, for a while', async () => {
    const { clock, store } = world(3, {}, { staleListMs: 60_000 });
    const keys = async () => (await store.list({ prefix: '', limit: 100 })).objects.map(({ key }) => key);
    const all = Array.from({ length: 20 }, (_, i) => `k${10 + i}`);
    for (const key of all) await store.put(key, x, { uid: 'u' });
    expect((await keys()).length).toBeLessThan(20);
    await clock.advance(60_000);
    expect(await keys()).toEqual(all);
    for (const key of all) await store.delete(key);
    expect((await keys()).length).toBeGreaterThan(0);
    expect(await store.head('k10')).toBeUndefined();
    await clock.advance(60_000);
    expect(await keys()).toEqual([]);
  });

  test('takes no parts that are too small, out of place or unknown', async () => {
    const { store } = world(1, {}, { minPartBytes: 10 });
    const begin = () => store.beginUpload('a', { uid: 'u' });
    const small = await begin();
    const parts = [await store.putPart('a', small, 1, x), await store.putPart('a', small, 2, x)];
    expect(await troubleOf(store.completeUpload('a', small, parts))).toBe('refused');
    expect(await troubleOf(store.completeUpload('a', small, [...parts].reverse()))).toBe('refused');
    expect(await troubleOf(store.completeUpload('a', small, []))).toBe('refused');
    expect(await troubleOf(store.putPart('a', small, 0, x))).toBe('refused');
    expect(await troubleOf(store.putPart('b', small, 1, x))).toBe('no-upload');
    await store.completeUpload('a', small, parts.slice(0, 1));
    expect(await troubleOf(store.completeUpload('a', small, parts.slice(0, 1)))).toBe('no-upload');
  });

  test('that is full takes nothing, parts neither, until something is deleted', async () => {
    const { bucket, store } = world(1);
    bucket.limitBytes = 2;
    await store.put('a', x, { uid: 'u' });
    const upload = await store.beginUpload('b', { uid: 'u' });
    await store.putPart('b', upload, 1, x);
    expect(await troubleOf(store.put('c', x, { uid: 'u' }))).toBe('full');
    await store.delete('a');
    await store.put('c', x, { uid: 'u' });
  });
});
