import { isStorageError } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RequestBudget, START_REQUESTS } from '../../src/store/budget.ts';
import type { Lane } from '../../src/store/steady-store.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** Asks for a request, and keeps when it was let through. */
class Asking {
  readonly clock: VirtualClock;
  readonly budget: RequestBudget;
  readonly passed: { readonly at: number; readonly lane: Lane; readonly number: number }[] = [];
  #asked = 0;

  constructor(putsPerHour: number, clock: VirtualClock = new VirtualClock()) {
    this.clock = clock;
    this.budget = new RequestBudget({ putsPerHour }, this.clock);
  }

  /** With all that may come at once. */
  static async rested(putsPerHour: number): Promise<Asking> {
    const asking = new Asking(putsPerHour);
    await asking.clock.advance(HOUR_MS);
    return asking;
  }

  async ask(lane: Lane, signal?: AbortSignal): Promise<void> {
    const number = this.#asked++;
    const wait = this.budget.take('put', lane, signal);
    // at once is at once: the clock may go on before the next microtask
    if (wait !== undefined) await wait;
    this.passed.push({ at: this.clock.monotonic(), lane, number });
  }
}

const lanes = fc.constantFrom<Lane>('hot', 'cold', 'upkeep');

test('in no window of an hour more pass than are set, even when each arrives up to a minute late', async () => {
  const asks = fc.array(
    fc.record({ lane: lanes, count: fc.integer({ min: 1, max: 80 }), pauseMs: fc.integer({ min: 0, max: HOUR_MS }) }),
    { minLength: 1, maxLength: 12 },
  );
  const lateness = fc.infiniteStream(fc.integer({ min: 0, max: MINUTE_MS }));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 60, max: 400 }), asks, lateness, async (perHour, rounds, late) => {
      const asking = new Asking(perHour);
      for (const { lane, count, pauseMs } of rounds) {
        for (let i = 0; i < count; i++) void asking.ask(lane);
        await asking.clock.advance(pauseMs);
      }
      await asking.clock.advance(20 * HOUR_MS);
      expect(asking.passed).toHaveLength(rounds.reduce((sum, { count }) => sum + count, 0));
      const arrivals = asking.passed.map(({ at }) => at + (late.next().value ?? 0)).sort((a, b) => a - b);
      arrivals.forEach((arrival, i) => {
        const next = arrivals[i + perHour];
        if (next !== undefined) expect(next - arrival).toBeGreaterThanOrEqual(HOUR_MS);
      });
    }),
    { numRuns: 60 },
  );
});

test('those of a lane pass in order, and none waits while one behind it passes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(lanes, { minLength: 1, maxLength: 60 }), async (asked) => {
      const asking = new Asking(60);
      for (let i = 0; i < 6; i++) void asking.ask('hot'); // what may come at once
      for (const lane of asked) void asking.ask(lane);
      await asking.clock.advance(3 * HOUR_MS);
      const order = ['hot', 'cold', 'upkeep'].flatMap((lane) =>
        asked.flatMap((one, i) => (one === lane ? [i + 6] : [])),
      );
      expect(asking.passed.slice(6).map(({ number }) => number)).toEqual(order);
    }),
    { numRuns: 60 },
  );
});

describe('a budget that is used up', () => {
  test('gives live data the next request, although housekeeping has waited for longer and for more', async () => {
    const asking = await Asking.rested(1000);
    for (let i = 0; i < 100; i++) void asking.ask('hot');
    void asking.ask('upkeep');
    await asking.clock.advance(1000);
    void asking.ask('hot');
    // 900 an hour are added
    await asking.clock.advance(4000);
    expect(asking.passed.slice(100).map(({ lane }) => lane)).toEqual(['hot']);
  });

  test('says how long the next one waits, and it waits no longer', async () => {
    const asking = await Asking.rested(100);
    expect(asking.budget.delayMs('put')).toBe(0);
    for (let i = 0; i < 14; i++) void asking.ask('hot');
    const delay = asking.budget.delayMs('put');
    expect(delay).toBeGreaterThan(4 * 36_000);
    void asking.ask('hot');
    await asking.clock.advance(delay - 1000);
    expect(asking.passed).toHaveLength(14);
    await asking.clock.advance(1002);
    expect(asking.passed).toHaveLength(15);
  });

  test('forgets who gives up, at once, and leaves no timer', async () => {
    const asking = new Asking(60);
    for (let i = 0; i < 6; i++) void asking.ask('hot');
    const giving = new AbortController();
    const waiting = asking.ask('hot', giving.signal);
    expect(asking.clock.pending).toBe(1);
    giving.abort();
    await expect(waiting).rejects.toSatisfy((error) => isStorageError(error, 'ABORTED'));
    await expect(asking.ask('hot', giving.signal)).rejects.toSatisfy((error) => isStorageError(error, 'ABORTED'));
    expect(asking.clock.pending).toBe(0);
  });

  test('tells who waits that it is closed', async () => {
    const asking = new Asking(60);
    for (let i = 0; i < 6; i++) void asking.ask('hot');
    const waiting = [asking.ask('hot'), asking.ask('upkeep')];
    asking.budget.close();
    for (const one of [...waiting, asking.ask('cold')])
      await expect(one).rejects.toSatisfy((error) => isStorageError(error, 'CLOSED'));
    expect(asking.clock.pending).toBe(0);
  });
});

test('housekeeping leaves a quarter of what may come at once to others', async () => {
  const asking = await Asking.rested(400);
  for (let i = 0; i < 40; i++) void asking.ask('upkeep');
  await asking.clock.advance(0);
  expect(asking.passed).toHaveLength(30);
  expect(asking.budget.left('put')).toBe(10);
});

test('puts and gets have budgets apart, and without one nobody waits', () => {
  const budget = new RequestBudget({ getsPerHour: 60 }, new VirtualClock());
  expect(budget.left('put')).toBe(Number.POSITIVE_INFINITY);
  expect(budget.left('get')).toBe(6);
  for (let i = 0; i < 1000; i++) expect(budget.take('put', 'hot')).toBeUndefined();
  expect(budget.delayMs('put')).toBe(0);
});

test('the burst may arrive last and all others first: the hour still has no more', async () => {
  const asking = await Asking.rested(400);
  for (let i = 0; i < 500; i++) void asking.ask('hot');
  await asking.clock.advance(2 * HOUR_MS);
  const late = HOUR_MS + MINUTE_MS;
  const arrivals = asking.passed.map(({ at }) => (at === HOUR_MS ? late : at)).filter((at) => at >= late);
  expect(arrivals.filter((at) => at < late + HOUR_MS).length).toBeLessThanOrEqual(400);
});

describe('a process that has just started', () => {
  test.each([
    [60, 6],
    [600, START_REQUESTS.put],
    [3600, START_REQUESTS.put],
  ])('with %i an hour has %i at once, and its burst later', async (perHour, atOnce) => {
    const asking = new Asking(perHour);
    expect(asking.budget.left('put')).toBe(atOnce);
    expect(asking.budget.burst('put')).toBe(perHour / 10);
    for (let i = 0; i < atOnce + 1; i++) void asking.ask('hot');
    expect(asking.passed).toHaveLength(atOnce);
    await asking.clock.advance(2 * HOUR_MS);
    expect(asking.budget.left('put')).toBe(perHour / 10);
  });

  test('adds what a start needs to the hour and no more, however many there are', async () => {
    const lives = fc.array(fc.integer({ min: 1, max: 20 * MINUTE_MS }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 60, max: 800 }), lives, async (perHour, livesMs) => {
        const clock = new VirtualClock();
        const starts: number[] = [];
        const passed: number[] = [];
        const live = async (restMs: number, lifeMs: number): Promise<void> => {
          const asking = new Asking(perHour, clock);
          starts.push(clock.monotonic());
          await clock.advance(restMs);
          for (let i = 0; i < 2 * perHour; i++) asking.ask('hot').catch(() => {});
          await clock.advance(lifeMs);
          passed.push(...asking.passed.map(({ at }) => at));
          asking.budget.close();
        };
        // one that has its whole burst, and then one after another
        await live(HOUR_MS, 1);
        for (const lifeMs of livesMs) await live(0, lifeMs);
        await live(0, HOUR_MS);
        passed.forEach((from, i) => {
          const startsWithin = starts.filter((at) => at >= from && at < from + HOUR_MS).length;
          const count = passed.slice(i).findIndex((at) => at >= from + HOUR_MS);
          expect(count < 0 ? passed.length - i : count).toBeLessThanOrEqual(
            perHour + startsWithin * START_REQUESTS.put,
          );
        });
      }),
      { numRuns: 25 },
    );
  });
});
