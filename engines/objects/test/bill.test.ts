import {
  encodeBatch,
  type ForecastLoad,
  isStorageError,
  type SegmentUsage,
  type SegmentWriter,
  type StorageEngine,
  silentLogger,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta, SeededRandom, VirtualClock } from '@robustmq/core/testing';
import { describe, expect, it } from 'vitest';
import { at } from '../../../conformance/src/batches.ts';
import { forecast } from '../src/forecast.ts';
import { openObjects } from '../src/open.ts';
import type { ObjectSettings } from '../src/settings.ts';
import { backendOf } from './support/backend.ts';
import { Bucket } from './support/bucket.ts';
import { MemoryStore } from './support/memory-store.ts';
import { settingsOf } from './support/settings.ts';
import { CALM } from './support/weather.ts';

const HOUR_MS = 3_600_000;
/** How often core calls `maintain`. */
const MAINTAIN_MS = 30_000;
const SEGMENT_BYTES = 128 * 1024 * 1024;
/** A request takes so long, there and back. */
const DELAY_MS = 40;

interface Load {
  readonly shards: number;
  readonly recordBytes: number;
  /** Between two records of all shards together. */
  readonly everyMs: number;
  readonly forMs: number;
}

/** The engine as it is, in made-up time, over a store that counts. */
class Hour {
  readonly clock = new VirtualClock();
  readonly store: MemoryStore;
  readonly #bucket: Bucket;
  readonly usage = { puts: 0, gets: 0, lists: 0 };
  readonly #settings: ObjectSettings;
  engine: StorageEngine | undefined;

  constructor(settings: Partial<ObjectSettings>) {
    const random = new SeededRandom(1);
    this.#settings = settingsOf(settings);
    this.#bucket = new Bucket({ clock: this.clock, random });
    this.store = new MemoryStore({
      bucket: this.#bucket,
      clock: this.clock,
      random,
      weather: { ...CALM, delayMs: DELAY_MS },
    });
  }

  async open(): Promise<StorageEngine> {
    const opening = openObjects(
      {
        instance: 'bill',
        node: 1,
        dir: '/nowhere',
        config: this.#settings,
        // it has no files
        fs: undefined as never,
        lock: () => Promise.reject(new Error('it locks nothing')),
        clock: this.clock,
        random: new SeededRandom(2),
        logger: silentLogger,
        metrics: unreadMetrics,
        meta: new MemoryMeta(),
        health: () => {},
        usage: ({ puts, gets, lists }: SegmentUsage) => {
          this.usage.puts += puts;
          this.usage.gets += gets;
          this.usage.lists += lists;
        },
        signal: new AbortController().signal,
      },
      backendOf(this.store),
    );
    let engine: StorageEngine | undefined;
    opening.then(
      (opened) => {
        engine = opened;
      },
      () => {},
    );
    for (let waited = 0; engine === undefined && waited < 60_000; waited += 50) await this.clock.advance(50);
    this.engine = await opening;
    return this.engine;
  }

  get puts(): number {
    return this.store.counts.PUT + this.store.counts.POST + this.store.counts.LIST;
  }

  get gets(): number {
    return this.store.counts.GET + this.store.counts.HEAD;
  }

  /** One segment of each shard, as core archives them: two at once, each read back before the chain points to it. */
  async archive(round: number, shards: number, bytes: number): Promise<void> {
    const engine = this.engine ?? (await this.open());
    const body = Buffer.alloc(ARCHIVED_BATCH_BYTES);
    const count = Math.max(1, Math.round(bytes / ARCHIVED_BATCH_BYTES));
    const todo = Array.from({ length: shards }, (_, i) => `a${i}-${round}`).values();
    const mover = async (): Promise<void> => {
      for (const id of todo) {
        const options = { base: 0, end: count, epoch: 1, state: new Uint8Array(8), uid: `u-${id}`, bytes };
        await engine.ingest(id, options, batches(count, body));
        const reader = await engine.openReader(id);
        expect(reader.offsets()).toMatchObject({ end: count, sealed: true });
        await reader.state();
        await reader.close();
      }
    };
    let moving = true;
    const moved = Promise.all([mover(), mover()]).finally(() => {
      moving = false;
    });
    while (moving) await this.clock.advance(10);
    await moved;
  }

  /** Writes a load, with segments that end as core ends them, and housekeeping. */
  async write(load: Load): Promise<{ readonly written: number; readonly waited: number }> {
    const engine = this.engine ?? (await this.open());
    const shards = Array.from({ length: load.shards }, (_, i) => new Shard(engine, `s${i}`));
    let [written, waited] = [0, 0];
    const busy = new Set<Promise<void>>();
    const failures: unknown[] = [];
    let maintained = 0;
    for (let now = 0, turn = 0; now < load.forMs; now += load.everyMs, turn++) {
      const shard = shards[turn % shards.length] as Shard; // of the array
      const append = shard
        .append(load.recordBytes)
        .then(
          (took) => {
            if (took) written++;
            else waited++;
          },
          (error: unknown) => void failures.push(error),
        )
        .finally(() => void busy.delete(append));
      busy.add(append);
      await this.clock.advance(load.everyMs);
      if (now - maintained < MAINTAIN_MS) continue;
      maintained = now;
      engine.maintain?.({ requestBudget: 200, signal: new AbortController().signal }).catch(() => {});
    }
    for (let more = 0; busy.size > 0 && more < 600; more++) await this.clock.advance(100);
    expect(failures).toEqual([]);
    return { written, waited };
  }
}

async function* batches(count: number, body: Buffer): AsyncGenerator<Uint8Array> {
  const one = encodeBatch([{ timestamp: 1, key: null, value: body }]);
  for (let base = 0; base < count; base++) yield at(base, one);
}

/** One writer after the other, as core opens them. */
class Shard {
  readonly #engine: StorageEngine;
  readonly #name: string;
  #writer: Promise<SegmentWriter> | undefined;
  #segments = 0;
  #bytes = 0;
  #queue: Promise<unknown> = Promise.resolve();
  /** Where the next append begins. */
  #next = 0;

  constructor(engine: StorageEngine, name: string) {
    this.#engine = engine;
    this.#name = name;
  }

  /** @returns false when there was no credit: a producer would have had to wait */
  append(bytes: number): Promise<boolean> {
    const dispatched = this.#queue.then(() => this.#dispatch(bytes));
    this.#queue = dispatched.catch(() => {});
    return dispatched.then((sent) => sent?.settled ?? false);
  }

  async #dispatch(bytes: number): Promise<{ readonly settled: Promise<boolean> } | undefined> {
    this.#writer ??= this.#open();
    let writer = await this.#writer;
    if (this.#bytes >= SEGMENT_BYTES) writer = await this.#roll(writer);
    if (writer.ready(bytes) !== undefined) return undefined;
    const batch = at(this.#next, encodeBatch([{ timestamp: 1, key: null, value: Buffer.alloc(bytes) }]));
    try {
      const appended = writer.append([batch], { base: this.#next });
      // refusals come at once
      await Promise.race([appended, Promise.resolve().then(() => Promise.resolve())]);
      this.#next++;
      this.#bytes += batch.length;
      return { settled: appended.then(() => true) };
    } catch (error) {
      if (!isStorageError(error, 'SEGMENT_MUST_ROLL')) throw error;
      await this.#roll(writer);
      return await this.#dispatch(bytes);
    }
  }

  async #roll(writer: SegmentWriter): Promise<SegmentWriter> {
    await writer.seal();
    this.#writer = this.#open();
    return await this.#writer;
  }

  #open(): Promise<SegmentWriter> {
    this.#bytes = 0;
    const id = `${this.#name}-${this.#segments++}`;
    return this.#engine.create(id, { base: this.#next, epoch: 1, config: {}, state: new Uint8Array(8) });
  }
}

function loadOf({ shards, recordBytes, everyMs }: Load): ForecastLoad {
  return {
    nodes: 1,
    topics: shards,
    bytesPerSecond: (recordBytes * 1000) / everyMs,
    recordBytes,
    segmentBytes: SEGMENT_BYTES,
    segmentMs: 86_400_000,
    retentionMs: 86_400_000,
    archived: false,
    manifestIntervalMs: 60_000,
  };
}

const TRICKLE: Load = { shards: 1, recordBytes: 1000, everyMs: 1000, forMs: HOUR_MS };
const MANY_SHARDS: Load = { shards: 1000, recordBytes: 1000, everyMs: 100, forMs: HOUR_MS / 4 };
/** A minute and a half stands for the hour: more would only take longer. */
const MUCH: Load = { shards: 4, recordBytes: 1000 * 1024, everyMs: 98, forMs: HOUR_MS / 40 };

/** `archive.after` as it is by default. */
const ARCHIVED_AFTER_MS = 600_000;
const ARCHIVED_ROUNDS = 3;
const ARCHIVED_BATCH_BYTES = 60 * 1024;

describe('The bill', () => {
  it('of an idle shard is nothing', async () => {
    const hour = new Hour({});
    await hour.write({ ...TRICKLE, forMs: 10_000 });
    const { engine } = hour;
    for (let minutes = 0; minutes < 15; minutes++) {
      await engine?.maintain?.({ requestBudget: 200, signal: new AbortController().signal });
      await hour.clock.advance(60_000);
    }
    const { requests } = hour.store;
    for (let minutes = 0; minutes < 60; minutes++) {
      engine?.maintain?.({ requestBudget: 200, signal: new AbortController().signal }).catch(() => {});
      await hour.clock.advance(60_000);
    }
    expect(hour.store.requests).toBe(requests);
  });

  it.each([
    ['a trickle', TRICKLE],
    ['a thousand shards', MANY_SHARDS],
    ['10 MiB/s', MUCH],
  ])(
    'of %s is what the forecast says, within 10 %',
    async (_, load) => {
      const hour = new Hour({});
      await hour.open();
      const before = hour.puts;
      const { waited } = await hour.write(load);
      expect(waited).toBe(0);
      const counted = ((hour.puts - before) * HOUR_MS) / load.forMs;
      const { putsPerHour } = forecast(settingsOf(), loadOf(load));
      expect(counted / putsPerHour).toBeGreaterThan(0.9);
      expect(counted / putsPerHour).toBeLessThan(1.1);
      expect(hour.usage.puts + hour.usage.lists).toBeCloseTo(hour.puts, 3);
    },
    60_000,
  );

  it.each([
    ['segments of 24 MiB', 'within 10 %', { shards: 4, segmentBytes: 24 * 1024 * 1024, atLeast: 0.9, atMost: 1.1 }],
    // two that come at the same moment share an object, and nobody knows beforehand how many do
    ['segments of 240 KiB', 'or less', { shards: 40, segmentBytes: 240 * 1024, atLeast: 0.5, atMost: 1 }],
  ])(
    'of what is archived in %s is what the forecast says, %s; its GETs within 10 %',
    async (_, __, { shards, segmentBytes, atLeast, atMost }) => {
      const hour = new Hour({});
      await hour.open();
      const before = { puts: hour.puts, gets: hour.gets };
      for (let round = 0; round < ARCHIVED_ROUNDS; round++) {
        await hour.archive(round, shards, segmentBytes);
        await hour.clock.advance(ARCHIVED_AFTER_MS);
      }
      const load = {
        ...loadOf({ shards, recordBytes: 1000, everyMs: 1, forMs: HOUR_MS }),
        bytesPerSecond: (shards * segmentBytes * 1000) / ARCHIVED_AFTER_MS,
        segmentMs: ARCHIVED_AFTER_MS,
        archived: true,
        // core writes them
        manifestIntervalMs: Number.POSITIVE_INFINITY,
      };
      const { putsPerHour, getsPerHour } = forecast(settingsOf(), load);
      const hours = (ARCHIVED_ROUNDS * ARCHIVED_AFTER_MS) / HOUR_MS;
      const ratios = {
        puts: (hour.puts - before.puts) / hours / putsPerHour,
        gets: (hour.gets - before.gets) / hours / getsPerHour,
      };
      expect(ratios.puts).toBeGreaterThanOrEqual(atLeast);
      expect(ratios.puts).toBeLessThanOrEqual(atMost);
      expect(ratios.gets).toBeGreaterThan(0.9);
      expect(ratios.gets).toBeLessThan(1.1);
    },
    60_000,
  );

  it.each([
    ['a trickle', TRICKLE, 600],
    ['a thousand shards', MANY_SHARDS, 1200],
    ['10 MiB/s', MUCH, 1200],
  ])(
    'of %s stays within its budget, the timer first',
    async (_, load, putsPerHour) => {
      const hour = new Hour({ requestBudget: { putsPerHour } });
      const { written, waited } = await hour.write(load);
      // what may be made at once, and its share of the hour
      expect(hour.puts).toBeLessThanOrEqual(putsPerHour * (0.1 + (0.9 * (load.forMs + 60_000)) / HOUR_MS) + 1);
      expect(written).toBeGreaterThan(0);
      // only where the buffer is not large enough for what the budget makes wait
      if (load !== MUCH) expect(waited).toBe(0);
    },
    60_000,
  );
});
