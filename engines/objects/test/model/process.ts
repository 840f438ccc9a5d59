import {
  type Clock,
  type EngineContext,
  type Meta,
  type StorageEngine,
  StorageError,
  silentLogger,
  unreadMetrics,
} from '@robustmq/core';
import type { SeededRandom } from '@robustmq/core/testing';
import type { ObjectBackend } from '../../src/backend.ts';
import type { ObjectSettings } from '../../src/settings.ts';
import { backendOf, fileBackendOf } from '../support/backend.ts';
import type { Bucket } from '../support/bucket.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { MemoryStore, type MemoryStoreOptions } from '../support/memory-store.ts';
import { settingsOf } from '../support/settings.ts';
import { CALM, type Weather } from '../support/weather.ts';

/** How the engine is opened: as it is, or with something wrong in it. */
export type OpenEngine = (ctx: EngineContext<ObjectSettings>, backend: ObjectBackend) => Promise<StorageEngine>;

export const ORPHAN_GRACE_MS = 120_000;

/** Objects arrive up to so long after everybody has given up: less than orphans are kept. */
export const WEATHER: Weather = {
  delayMs: 60,
  turns: 3,
  lost: 0.03,
  replyLost: 0.04,
  late: 0.03,
  lateMs: 60_000,
  slowDown: 0.02,
  server: 0.02,
  truncated: 0.01,
};

const SETTINGS: Partial<ObjectSettings> = {
  flushIntervalMs: 40,
  idleFlushMs: 5,
  patienceMs: 1500,
  requestTimeoutMs: 400,
  uploads: 3,
  cacheBytes: 8 * 1024 * 1024,
  readAheadPieces: 1,
  orphanGraceMs: ORPHAN_GRACE_MS,
};

/** Of the lives, so many put images in parts where others share objects or put them whole. */
const IN_PARTS = 0.5;
export const PART_BYTES = 600;

export interface ProcessWorld {
  readonly clock: Clock;
  readonly bucket: Bucket;
  readonly meta: Meta;
  readonly conditionalCreates: NonNullable<MemoryStoreOptions['conditionalCreates']>;
  readonly open: OpenEngine;
  /** The store is one of files, which have so many bytes. */
  readonly fileBytes: number | undefined;
  /** A source of chance of its own for whoever asks. */
  fork(): SeededRandom;
}

/** One process of a node, with its own connections to the store and to Meta. */
export class Process {
  readonly node: number;
  readonly engine: StorageEngine;
  readonly #store: MemoryStore;
  readonly #meta: FlakyMeta;
  isDead = false;

  private constructor(node: number, engine: StorageEngine, store: MemoryStore, meta: FlakyMeta) {
    this.node = node;
    this.engine = engine;
    this.#store = store;
    this.#meta = meta;
  }

  static async start(world: ProcessWorld, node: number, isCalm = false): Promise<Process> {
    const { clock, bucket, conditionalCreates, fileBytes } = world;
    const connection = {
      bucket,
      clock,
      random: world.fork(),
      weather: isCalm ? CALM : WEATHER,
      conditionalCreates,
      requestTimeoutMs: 400,
    };
    const files = fileBytes === undefined ? undefined : new MemoryFiles(connection);
    const store = files ?? new MemoryStore(connection);
    const meta = new FlakyMeta(world.meta, clock, world.fork());
    if (isCalm) meta.calm();
    const engine = await world.open(
      {
        instance: 'model',
        node,
        dir: '/nowhere',
        config: settingsOf({ ...SETTINGS, ...(world.fork().next() < IN_PARTS ? { partBytes: PART_BYTES } : {}) }),
        // it has no files
        fs: undefined as never,
        lock: () => Promise.reject(new Error('it locks nothing')),
        clock,
        random: world.fork(),
        logger: silentLogger,
        metrics: unreadMetrics,
        meta,
        health: () => {},
        usage: () => {},
        signal: new AbortController().signal,
      },
      files === undefined ? backendOf(store) : fileBackendOf(files, fileBytes ?? 0),
    );
    return new Process(node, engine, store, meta);
  }

  /** kill -9: it hears and says nothing more, and what is on its way goes on. */
  kill(): void {
    this.isDead = true;
    this.#store.down = true;
    this.#meta.cut();
  }

  calm(): void {
    this.#store.weather = CALM;
    this.#meta.calm();
  }
}

/** Meta behind a network: requests and replies get lost, and a request may be carried out long after everybody has given up on it. */
class FlakyMeta implements Meta {
  readonly #inner: Meta;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  #lossy = 0.06;
  #isCut = false;

  constructor(inner: Meta, clock: Clock, random: SeededRandom) {
    this.#inner = inner;
    this.#clock = clock;
    this.#random = random;
  }

  cut(): void {
    this.#isCut = true;
  }

  calm(): void {
    this.#lossy = 0;
  }

  get: Meta['get'] = (key) => this.#through(() => this.#inner.get(key));
  list: Meta['list'] = (options) => this.#through(() => this.#inner.list({ ...options, limit: 7 }));
  commit: Meta['commit'] = (mutation) => this.#through(() => this.#inner.commit(mutation));
  commitEach: Meta['commitEach'] = (mutations) => this.#through(() => this.#inner.commitEach(mutations));
  watch: Meta['watch'] = (options) => this.#inner.watch(options);

  async #through<T>(call: () => Promise<T>): Promise<T> {
    const fate = this.#random.next();
    await this.#pause(this.#random.next() * 12);
    if (this.#isCut || fate < this.#lossy) throw unavailable('the request was lost');
    // what a caller gave up on may be carried out all the same, later
    if (fate > 1 - this.#lossy / 2) {
      this.#clock.timer(this.#random.next() * 5000, () => void call().catch(() => {}));
      throw unavailable('no answer in time');
    }
    const value = await call();
    await this.#pause(this.#random.next() * 6);
    if (this.#isCut || fate > 1 - 1.5 * this.#lossy) throw unavailable('the reply was lost');
    return value;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.timer(ms, resolve));
  }
}

function unavailable(why: string): StorageError {
  return new StorageError('META_UNAVAILABLE', why);
}
