import { SeededRandom, VirtualClock } from '@robustmq/core/testing';
import { expect, test } from 'vitest';
import { PROBE_REQUESTS, probeConditionalCreates } from '../../src/store/probe.ts';
import { Bucket } from '../support/bucket.ts';
import { MemoryStore, type MemoryStoreOptions } from '../support/memory-store.ts';
import { CALM } from '../support/weather.ts';

/** Runs the probe on such a store. */
async function probe(own: Partial<MemoryStoreOptions>, seed = 1) {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const bucket = new Bucket({ clock, random });
  const store = new MemoryStore({ bucket, clock, random, weather: { ...CALM, turns: 8 }, ...own });
  const found = await probeConditionalCreates(store, ['probe/a', 'probe/b']).catch((error: unknown) => error);
  return { found, bucket, store };
}

test('finds creates that are atomic, in as many puts as it says, and leaves nothing', async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { found, bucket, store } = await probe({ conditionalCreates: 'atomic' }, seed);
    expect(found, `seed ${seed}`).toBe(true);
    expect(store.counts.PUT).toBe(PROBE_REQUESTS);
    expect(bucket.objects.size).toBe(0);
  }
});

test('finds creates that look first and put a moment later', async () => {
  for (let seed = 1; seed <= 50; seed++)
    expect((await probe({ conditionalCreates: 'racy' }, seed)).found, `seed ${seed}`).toBe(false);
});

test.each(['ignored', 'refused'] as const)('finds that conditions are %s', async (conditionalCreates) => {
  const { found, bucket } = await probe({ conditionalCreates });
  expect(found).toBe(false);
  expect(bucket.objects.size).toBe(0);
});

test('takes a conflict for a refusal of this one racer', async () => {
  let asked = 0;
  const { found } = await probe({
    interfere: (request) =>
      request === 'PUT' && asked++ % 3 === 0 ? { kind: 'answered', trouble: 'conflict', applied: false } : undefined,
  });
  expect(found).toBe(true);
});

test('says what keeps it from finding out', async () => {
  const { found } = await probe({
    interfere: (request) => (request === 'PUT' ? { kind: 'answered', trouble: 'denied', applied: false } : undefined),
  });
  expect(found).toMatchObject({ trouble: 'denied' });
});
