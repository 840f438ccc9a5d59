import { type EngineHealth, isStorageError, type SegmentUsage, unreadMetrics } from '@robustmq/core';
import { SeededRandom, VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import type { ObjectSettings } from '../../src/settings.ts';
import { RequestBudget } from '../../src/store/budget.ts';
import { Meter } from '../../src/store/meter.ts';
import { steadyStore } from '../../src/store/steady.ts';
import type { SteadyStore } from '../../src/store/steady-store.ts';
import { Bucket } from '../support/bucket.ts';
import { MemoryStore, type RequestName } from '../support/memory-store.ts';
import { settingsOf } from '../support/settings.ts';
import { type Fate, ROUGH } from '../support/weather.ts';

const LOST: Fate = { kind: 'lost', silent: false };
const REPLY_LOST: Fate = { kind: 'reply-lost', silent: false };
const answered = (trouble: 'slow-down' | 'server' | 'conflict' | 'truncated' | 'denied'): Fate => ({
  kind: 'answered',
  trouble,
  applied: false,
});

interface WorldOptions extends Partial<ObjectSettings> {
  readonly seed?: number;
  readonly conditional?: boolean;
  readonly rough?: boolean;
  /** What happens to the first requests of these names, in turn; then all goes well. */
  readonly fates?: Partial<Record<RequestName, Fate[]>>;
}

/** A steady store on a bucket in memory, and what it said. */
function world(options: WorldOptions = {}) {
  const { seed = 1, conditional = false, rough = false, fates = {}, ...own } = options;
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const settings = settingsOf(own);
  const bucket = new Bucket({ clock, random });
  const store = new MemoryStore({
    bucket,
    clock,
    random,
    requestTimeoutMs: settings.requestTimeoutMs,
    ...(rough ? { weather: ROUGH } : {}),
    interfere: (name) => fates[name]?.shift(),
  });
  const usage: SegmentUsage[] = [];
  const health: EngineHealth[] = [];
  const steady = steadyStore({
    store,
    settings,
    hints: {},
    budget: new RequestBudget(settings.requestBudget, clock),
    meter: new Meter('cold', unreadMetrics, settings.prices, (report) => usage.push(report)),
    clock,
    random,
    isConditional: () => conditional,
    checkKey: () => `probe/${random.uuid()}`,
    health: (report) => health.push(report),
  });
  return { clock, bucket, store, steady, usage, health };
}

/** Lets time pass until it is done. */
async function soon<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let done = false;
  const finish = (): void => {
    done = true;
  };
  promise.then(finish, finish);
  for (let i = 0; i < 1000 && !done; i++) await clock.advance(100);
  return await promise;
}

/** In steps: what a timer starts is asked for at the time it is asked. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) await clock.advance(100);
}

const put = (steady: SteadyStore, key: string, uid = 'ours'): Promise<void> =>
  steady.put(key, [Buffer.from('body of '), Buffer.from(key)], uid);

describe('a put', () => {
  test.each([
    ['lost requests', [LOST, LOST]],
    ['lost replies', [REPLY_LOST, REPLY_LOST]],
    ['a request that arrives after its caller has given up', [{ kind: 'late', byMs: 500 }]],
    ['SlowDown, errors of the store and conflicts', [answered('slow-down'), answered('server'), answered('conflict')]],
  ] as const)('goes on through %s, conditional or not', async (_, fates) => {
    for (const conditional of [false, true]) {
      const { clock, bucket, steady, health } = world({ conditional, fates: { PUT: [...fates] } });
      await soon(clock, put(steady, 'a'));
      await clock.advance(60_000);
      expect(Buffer.from(bucket.get('a').bytes).toString()).toBe('body of a');
      expect(bucket.overwritten).toEqual([]);
      expect(health).toEqual([]);
    }
  });

  test('knows its own object when a condition finds it there, and a stranger from it', async () => {
    const { clock, bucket, steady, store } = world({ conditional: true, fates: { PUT: [REPLY_LOST] } });
    bucket.put('strange', Buffer.from('x'), 'theirs');
    await soon(clock, put(steady, 'own'));
    expect(store.counts).toMatchObject({ PUT: 2, HEAD: 1 });
    await expect(soon(clock, put(steady, 'strange'))).rejects.toMatchObject({
      code: 'SEGMENT_EXISTS',
      outcome: 'none',
    });
    expect(bucket.get('strange').uid).toBe('theirs');
  });

  test('finds that out with a single place in the lane', async () => {
    const { clock, steady } = world({ conditional: true, hotRequests: 1, fates: { PUT: [REPLY_LOST, REPLY_LOST] } });
    await soon(clock, Promise.all([put(steady, 'a'), put(steady, 'b')]));
  });

  test('says that it may have been carried out when nobody can say', async () => {
    const { clock, steady, store } = world({ patienceMs: 1000, fates: { PUT: [REPLY_LOST] } });
    const putting = put(steady, 'a');
    await clock.advance(1);
    store.down = true;
    await expect(soon(clock, putting)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryable: true,
      outcome: 'unknown',
    });
    await expect(soon(clock, put(steady, 'b'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', outcome: 'none' });
  });
});

describe('a read', () => {
  test('goes on through lost requests, SlowDown and answers that end too early', async () => {
    const { clock, bucket, steady } = world({
      fates: { GET: [LOST, answered('slow-down'), answered('truncated'), REPLY_LOST] },
    });
    bucket.put('a', Buffer.from('0123456789'), 'u');
    expect(Buffer.from(await soon(clock, steady.getRange('a', 2, 3))).toString()).toBe('234');
  });

  test('of an object that is really shorter ends soon, and that is not the trouble of the store', async () => {
    const { clock, bucket, steady, store, health } = world();
    bucket.put('a', Buffer.from('0123456789'), 'u');
    await expect(soon(clock, steady.getRange('a', 8, 3))).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(soon(clock, steady.getRange('none', 0, 1))).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
    expect(store.counts.GET).toBe(4);
    expect(health).toEqual([]);
  });

  test('whose time is over says nothing about the object because its last answer was cut off', async () => {
    const { clock, bucket, steady } = world({ patienceMs: 0, fates: { GET: [answered('truncated')] } });
    bucket.put('a', Buffer.from('0123456789'), 'u');
    await expect(soon(clock, steady.getRange('a', 0, 1))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryable: true,
      outcome: 'none',
    });
  });

  test('of archived data waits for its own lane and rate, and live data does not wait for it', async () => {
    const { clock, bucket, steady } = world({ coldRequests: 2, coldGetsPerSecond: 10 });
    bucket.put('a', Buffer.from('0123456789'), 'u');
    const ended: number[] = [];
    const cold = Array.from({ length: 40 }, () =>
      steady.getRange('a', 0, 1, { lane: 'cold' }).then(() => ended.push(clock.monotonic())),
    );
    await steady.getRange('a', 0, 1);
    expect(ended.length).toBeLessThan(11);
    await soon(clock, Promise.all(cold));
    // the first second's worth at once, then ten a second
    expect(ended.at(-1)).toBeGreaterThanOrEqual(2900);
  });
});

describe('an object in parts', () => {
  const chunks = async function* (count: number, bytes: number): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < count; i++) yield Buffer.alloc(bytes, i);
  };
  const MiB = 1024 * 1024;
  const partBytes = 5 * MiB;

  test('is whole after lost replies of every step', async () => {
    const { clock, bucket, steady } = world({ fates: { POST: [REPLY_LOST], PUT: [LOST, REPLY_LOST] } });
    const begun: string[] = [];
    const whole = Buffer.concat(Array.from({ length: 23 }, (_, i) => Buffer.alloc(MiB / 2, i)));
    const bytes = await soon(
      clock,
      steady.putStream('a', chunks(23, MiB / 2), 'u', {
        partBytes,
        begun: async (upload) => void begun.push(upload),
      }),
    );
    expect(bytes).toBe(11.5 * MiB);
    expect(Buffer.compare(bucket.get('a').bytes, whole)).toBe(0);
    expect(begun).toHaveLength(1);
  });

  test('is there when the reply to its completion is lost', async () => {
    const { clock, bucket, steady, store } = world({ fates: { POST: [{ kind: 'served' }, REPLY_LOST] } });
    await soon(clock, steady.putStream('a', chunks(12, MiB), 'u', { partBytes }));
    expect(bucket.get('a').bytes.length).toBe(12 * MiB);
    expect(store.counts).toMatchObject({ POST: 3, HEAD: 1 });
  });

  test('leaves no upload when the source fails, or the store', async () => {
    const { clock, bucket, steady } = world({ patienceMs: 0, fates: { PUT: [LOST] } });
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield* chunks(12, MiB);
      throw new Error('the source is broken');
    };
    await expect(soon(clock, steady.putStream('a', chunks(12, MiB), 'u', { partBytes }))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await expect(soon(clock, steady.putStream('a', broken(), 'u', { partBytes }))).rejects.toThrow(
      'the source is broken',
    );
    expect(bucket.uploads.size).toBe(0);
    expect(bucket.objects.size).toBe(0);
  });

  test('is one put when it fits in a part', async () => {
    const { clock, bucket, steady, store } = world();
    expect(await soon(clock, steady.putStream('a', chunks(3, MiB), 'u', { partBytes }))).toBe(3 * MiB);
    expect(bucket.get('a').bytes.length).toBe(3 * MiB);
    expect(store.counts).toMatchObject({ PUT: 1, POST: 0 });
  });
});

describe('who gives up', () => {
  test('is told at once, wherever the request is, and it is nobody else’s trouble', async () => {
    const { clock, steady, health } = world({ hotRequests: 1, fates: { PUT: [{ kind: 'lost', silent: true }] } });
    const giving = new AbortController();
    const options = { signal: giving.signal };
    const asking = [
      steady.put('on its way', [Buffer.from('x')], 'u', options),
      steady.put('behind it', [Buffer.from('x')], 'u', options),
    ];
    await clock.advance(10);
    giving.abort();
    await expect(asking[0]).rejects.toMatchObject({ code: 'ABORTED', outcome: 'unknown' });
    await expect(asking[1]).rejects.toMatchObject({ code: 'ABORTED', outcome: 'none' });
    expect(health).toEqual([]);
    await put(steady, 'next');
  });

  test('by closing everything leaves nothing behind', async () => {
    const { clock, steady, store, health } = world({
      hotRequests: 1,
      coldGetsPerSecond: 1,
      requestBudget: { putsPerHour: 60 },
      fates: { HEAD: [{ kind: 'lost', silent: true }] },
    });
    const asking: Promise<unknown>[] = [steady.head('a')];
    for (let i = 0; i < 10; i++) asking.push(put(steady, `${i}`), steady.getRange('a', 0, 1, { lane: 'cold' }));
    const outcomes = Promise.allSettled(asking);
    await clock.advance(1);
    await steady.close();
    for (const outcome of await outcomes)
      if (outcome.status === 'rejected')
        expect(isStorageError(outcome.reason, 'CLOSED', 'SEGMENT_LOST'), String(outcome.reason)).toBe(true);
    expect((await outcomes).filter(({ status }) => status === 'rejected').length).toBeGreaterThan(10);
    expect(store.waiting).toBe(0);
    expect(clock.pending).toBe(0);
    expect(health).toEqual([]);
  });
});

describe('the budget', () => {
  test('is spent by tries that fail too, and who has used up that of puts can still read', async () => {
    const { clock, bucket, steady, store } = world({ hotRequests: 1, requestBudget: { putsPerHour: 60 } });
    bucket.put('a', Buffer.from('0123456789'), 'u');
    bucket.trouble = 'server';
    const failing = put(steady, 'b').catch(() => {});
    await pass(clock, 25_000);
    expect(store.counts.PUT).toBe(6);
    bucket.trouble = undefined;
    expect(await soon(clock, steady.getRange('a', 0, 1))).toHaveLength(1);
    await clock.advance(100_000);
    await failing;
    expect(store.counts.PUT).toBe(7);
  });
});

describe('usage', () => {
  test('counts every try for those it was made for, by their shares, at the set prices', async () => {
    const prices = { per1000Puts: 5, per1000Gets: 0.4, perGbMonth: 0, perGbRead: 1e9 };
    const { clock, steady, usage } = world({ prices, fates: { PUT: [LOST] } });
    const shares = [
      { segment: 'x', share: 0.25 },
      { segment: 'y', share: 0.75 },
    ];
    await soon(clock, steady.put('a', [Buffer.alloc(100)], 'u', { for: shares }));
    await soon(clock, steady.getTail('a', 1000, { for: [{ segment: 'x', share: 1 }] }));
    await soon(clock, steady.list({ prefix: '', limit: 1 }));
    const sum = (segment: string) =>
      usage
        .filter((one) => one.segment === segment)
        .reduce(
          (all, one) => ({
            puts: all.puts + one.puts,
            gets: all.gets + one.gets,
            lists: all.lists + one.lists,
            bytesOut: all.bytesOut + one.bytesOut,
            bytesIn: all.bytesIn + one.bytesIn,
            cost: all.cost + one.cost,
          }),
          { puts: 0, gets: 0, lists: 0, bytesOut: 0, bytesIn: 0, cost: 0 },
        );
    expect(sum('x')).toEqual({
      puts: 0.5,
      gets: 1,
      lists: 0,
      bytesOut: 50,
      bytesIn: 100,
      cost: expect.closeTo(0.0025 + 0.0004 + 100, 9),
    });
    expect(sum('y')).toMatchObject({ puts: 1.5, bytesOut: 150, cost: expect.closeTo(0.0075, 9) });
    expect(sum('')).toMatchObject({ puts: 0, gets: 0, lists: 1, cost: expect.closeTo(0.005, 9) });
  });
});

describe('health', () => {
  const down = async (own: WorldOptions = {}) => {
    const made = world({ patienceMs: 1000, ...own });
    made.store.down = true;
    await expect(soon(made.clock, put(made.steady, 'a'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    return made;
  };

  test('fails when the store stays away, says what to do, and is well again by itself without any work', async () => {
    const { clock, store, bucket, health } = await down();
    expect(health).toEqual([
      { status: 'failed', detail: expect.stringMatching(/^STORE_UNAVAILABLE: .* Check the address in the settings/) },
    ]);
    await clock.advance(20_000);
    store.down = false;
    await clock.advance(60_000);
    expect(health.at(-1)).toEqual({ status: 'ok', detail: '' });
    expect(bucket.objects.size).toBe(0);
    const { requests } = store;
    await clock.advance(3_600_000);
    expect(store.requests).toBe(requests);
  });

  test('is not well because something else works', async () => {
    const { clock, bucket, steady, health } = world({ patienceMs: 1000 });
    bucket.put('a', Buffer.from('x'), 'u');
    bucket.limitBytes = 5;
    await expect(soon(clock, put(steady, 'b'))).rejects.toMatchObject({ code: 'DISK_FULL', retryable: true });
    expect(health.at(-1)).toMatchObject({ status: 'full' });
    bucket.limitBytes = 1;
    await steady.getRange('a', 0, 1);
    await clock.advance(600_000);
    expect(health.at(-1)).toMatchObject({ status: 'full' });
    bucket.limitBytes = 1000;
    await soon(clock, put(steady, 'b'));
    expect(health.at(-1)).toMatchObject({ status: 'ok' });
  });

  test.each([
    ['denied', 'STORE_DENIED', true],
    ['credentials', 'STORE_DENIED', true],
    ['expired', 'STORE_DENIED', true],
    ['clock-skew', 'STORE_DENIED', true],
    ['no-bucket', 'STORE_MISCONFIGURED', false],
    ['wrong-region', 'STORE_MISCONFIGURED', false],
    ['refused', 'STORE_MISCONFIGURED', false],
  ] as const)(
    '%s is %s, with nothing done, and does not wait as long as for an outage',
    async (trouble, code, retryable) => {
      const { clock, bucket, steady, health } = world({ patienceMs: 600_000 });
      bucket.trouble = trouble;
      await expect(soon(clock, put(steady, 'a'))).rejects.toMatchObject({ code, retryable, outcome: 'none' });
      expect(clock.monotonic()).toBeLessThan(10_000);
      expect(health).toEqual([{ status: 'failed', detail: expect.stringContaining(code) }]);
    },
  );

  test('credentials that are renewed in time are never missed', async () => {
    const { clock, bucket, steady, health } = world();
    bucket.trouble = 'expired';
    const putting = put(steady, 'a');
    await clock.advance(3000);
    bucket.trouble = undefined;
    await soon(clock, putting);
    expect(health).toEqual([]);
  });
});

test('in rough weather each put that has ended well is there, whole, and each that failed says so', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const { clock, bucket, steady } = world({ seed, rough: true, conditional: seed % 2 === 0, patienceMs: 60_000 });
    const keys = Array.from({ length: 20 }, (_, i) => `${seed}-${i}`);
    const outcomes = await soon(clock, Promise.allSettled(keys.map((key) => put(steady, key))));
    outcomes.forEach((outcome, i) => {
      const key = keys[i] ?? '';
      if (outcome.status === 'fulfilled')
        expect(Buffer.from(bucket.get(key).bytes).toString(), `seed ${seed}`).toBe(`body of ${key}`);
      else expect(outcome.reason, `seed ${seed}`).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    });
    // nothing that arrives later changes that
    await clock.advance(3_600_000);
    expect(bucket.overwritten, `seed ${seed}`).toEqual([]);
    const read = await soon(
      clock,
      steady.getRange(keys[0] ?? '', 0, 4).catch(() => undefined),
    );
    if (outcomes[0]?.status === 'fulfilled' && read !== undefined) expect(Buffer.from(read).toString()).toBe('body');
  }
});
