import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  type EngineDefinition,
  isStorageError,
  lockDirectory,
  type Meta,
  nodeFileSystem,
  type OpenEngineInstance,
  openInstance,
  StorageError,
  silentLogger,
  systemClock,
  systemRandom,
  type TopicOverrides,
  unreadMetrics,
} from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import localFile from '@robustmq/engine-local-file';
import { expect, it } from 'vitest';
import type { LogShard } from '../../src/shard/shard.ts';
import { upkeep } from '../../src/shard/upkeep.ts';
import directory from '../archive/directory-engine.ts';
import { batch, type Node, openNode, shardOf } from './harness.ts';

const SEEDS = Number(process.env.CHAOS_SEEDS ?? 6);
const FIRST_SEED = Number(process.env.CHAOS_SEED ?? 1);
const STEPS = 120;
const MINUTE = 60_000;

/** Real engines on real files; half of the archives keep manifests. */
const ENGINES: Readonly<Record<string, EngineDefinition>> = {
  hot: localFile as EngineDefinition,
  cold: localFile as EngineDefinition,
  shelved: directory as EngineDefinition,
};

/** What a person may say meanwhile. */
const ALTERATIONS: readonly TopicOverrides[] = [
  { archive: { to: 'cold' } },
  { archive: { to: 'shelved' } },
  { archive: { to: 'none' } },
  { archive: { to: 'shelved', keepLocal: 0 } },
  { archive: { to: 'cold', keepLocal: 40 * MINUTE } },
];

class World {
  readonly random: SeededRandom;
  readonly folder: string;
  readonly meta: Meta = new MemoryMeta();
  readonly clock: Clock & { shift: number };
  isCalm = true;
  node: Node | undefined;
  #instances = new Map<string, OpenEngineInstance>();
  /** By offset: what was acknowledged. */
  readonly acknowledged = new Map<number, string>();
  /** Sent, and nobody knows. */
  readonly unsure = new Set<string>();
  #sent = 0;

  constructor(seed: number, folder: string) {
    this.random = new SeededRandom(seed);
    this.folder = folder;
    const clock = {
      shift: 0,
      wall: () => systemClock.wall() + clock.shift,
      monotonic: () => systemClock.monotonic() + clock.shift,
      timer: systemClock.timer,
    };
    this.clock = clock;
  }

  async start(): Promise<void> {
    for (const [name, definition] of Object.entries(ENGINES)) {
      if (this.#instances.has(name)) continue;
      const dir = join(this.folder, name);
      await mkdir(dir, { recursive: true });
      const instance = await openInstance(definition, {
        instance: name,
        dir,
        config: name === 'shelved' ? { path: dir } : { dir, logFileBytes: 1024 * 1024, logFiles: 4 },
        fs: nodeFileSystem,
        lock: lockDirectory,
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
        metrics: unreadMetrics,
        meta: this.meta,
        signal: new AbortController().signal,
      });
      this.#instances.set(name, instance);
    }
    const engines = new Map([...this.#instances].map(([name, instance]) => [name, this.#stormy(instance)]));
    this.node = await openNode({
      meta: this.#stormyMeta(),
      engines,
      clock: this.clock,
      tuning: { maintenanceIntervalMs: 3_600_000, manifestIntervalMs: 10, deleteGraceMs: 1000 },
      defaults: { engine: 'hot', archive: { to: 'cold', after: 10 * MINUTE, keepLocal: 30 * MINUTE } },
    });
  }

  /** The storage layer dies without a word; sometimes the engines with it. */
  async restart(): Promise<void> {
    await this.node?.close();
    if (this.random.next() < 0.4) await this.closeEngines();
    await this.start();
  }

  async closeEngines(): Promise<void> {
    for (const instance of this.#instances.values()) await instance.close();
    this.#instances = new Map();
  }

  async shard(): Promise<LogShard> {
    if (this.node === undefined) throw new Error('it is not open');
    return (await shardOf(this.node.storage, 't')) as LogShard; // this adapter made it
  }

  async append(): Promise<void> {
    const values = Array.from({ length: 1 + Math.floor(this.random.next() * 3) }, () => `v${this.#sent++}`);
    try {
      const { base } = await (await this.shard()).append([batch(values)]);
      for (const [i, value] of values.entries()) {
        expect(this.acknowledged.has(base + i), `offset ${base + i} is given out once`).toBe(false);
        this.acknowledged.set(base + i, value);
      }
    } catch (error) {
      if (!isStorageError(error)) throw error;
      if (error.outcome === 'unknown') for (const value of values) this.unsure.add(value);
    }
    if (this.random.next() < 0.6) await (await this.shard()).log.rollNow().catch(() => {});
  }

  /** What the loops do. */
  async round(): Promise<void> {
    const { log } = await this.shard();
    await log.opened().catch(() => {});
    await upkeep(log).catch(() => {}); // the loops log it
    for (let went = true; went; ) went = await log.moves.next(() => {}).catch(() => false);
  }

  /** All that is there, against all that was acknowledged. */
  async check(): Promise<void> {
    const shard = await this.shard();
    const { logStart } = await shard.offsets();
    const seen = new Map<number, string>();
    for (let at = logStart; ; ) {
      const { chunks, next } = await shard.read(at, { maxBytes: 1 + Math.floor(this.random.next() * 500) });
      for (const chunk of chunks)
        forEachBatch(chunk, (header, position) => {
          for (const { offset, value } of decodeRecords(chunk.subarray(position, position + header.bytes)))
            if (offset >= at) seen.set(offset, Buffer.from(value ?? '').toString());
        });
      if (next === at) break;
      at = next;
    }
    for (const [offset, value] of this.acknowledged)
      if (offset >= logStart) expect(seen.get(offset), `offset ${offset}`).toBe(value);
    const values = [...seen.values()];
    expect(new Set(values).size, 'nothing is there twice').toBe(values.length);
    for (const [offset, value] of seen)
      if (!this.acknowledged.has(offset)) expect(this.unsure.has(value), `${value} at ${offset}`).toBe(true);
  }

  /** Ids in an engine that no row of the chain names, and the other way round. */
  async differences(): Promise<string[]> {
    const { log } = await this.shard();
    const rows = [...log.rows, ...log.deleting, ...(log.open === undefined ? [] : [log.open.row])];
    const named = new Set(
      rows.filter(({ state }) => state !== 'PREPARED').map(({ instance, id }) => `${instance} ${id}`),
    );
    const there = new Set<string>();
    for (const [name, { engine }] of this.#instances)
      for (const id of await engine.list({ prefix: '', limit: 1000 })) there.add(`${name} ${id}`);
    return [...[...named].filter((name) => !there.has(name)), ...[...there].filter((name) => !named.has(name))];
  }

  #chance(probability: number): boolean {
    return !this.isCalm && this.random.next() < probability;
  }

  #stormyMeta(): Meta {
    const { meta } = this;
    return {
      get: (key) => meta.get(key),
      list: (options) => meta.list(options),
      watch: (options) => meta.watch(options),
      commitEach: (mutations) => meta.commitEach(mutations),
      commit: async (mutation) => {
        if (this.#chance(0.05)) throw new StorageError('META_UNAVAILABLE', 'it does not answer');
        const result = await meta.commit(mutation);
        if (this.#chance(0.05)) throw new StorageError('META_UNAVAILABLE', 'the reply was lost');
        return result;
      },
    };
  }

  /** Calls fail before or after they took effect; an ingest in the middle, too. */
  #stormy(instance: OpenEngineInstance): OpenEngineInstance {
    const lost = (): StorageError => new StorageError('IO_ERROR', 'the connection broke', { retryable: true });
    const stormy =
      (call: (...args: unknown[]) => Promise<unknown>, probability: number) =>
      async (...args: unknown[]) => {
        if (this.#chance(probability)) throw lost();
        const result = await call(...args);
        if (this.#chance(probability)) throw lost();
        return result;
      };
    const members = <T extends object>(target: T, storms: Readonly<Record<string, number>>): T =>
      new Proxy(target, {
        get: (_, name) => {
          const member: unknown = Reflect.get(target, name);
          if (name === 'shelf' && typeof member === 'object' && member !== null)
            return members(member, { place: 0.05, putManifest: 0.1, deleteManifest: 0.05 });
          if (typeof member !== 'function') return member;
          const probability = storms[String(name)];
          const call = (...args: unknown[]) => Reflect.apply(member, target, args);
          return probability === undefined ? call : stormy(call, probability);
        },
      });
    const engine = members(instance.engine, { ingest: 0.1, delete: 0.1, openReader: 0.03 });
    return new Proxy(instance, { get: (target, name) => (name === 'engine' ? engine : Reflect.get(target, name)) });
  }
}

const seeds = Array.from({ length: SEEDS }, (_, i) => FIRST_SEED + i);
it.each(seeds)(
  'archiving under weather, seed %i: nothing is lost, repeated, renumbered or leaked',
  async (seed) => {
    const folder = await mkdtemp(join(tmpdir(), 'robust-archive-'));
    const world = new World(seed, folder);
    try {
      await world.start();
      await world.shard(); // the topic
      world.isCalm = false;
      for (let step = 0; step < STEPS; step++) {
        const chance = world.random.next();
        if (chance < 0.4) await world.append();
        else if (chance < 0.6) await world.round();
        else if (chance < 0.8) world.clock.shift += Math.floor(world.random.next() * 15 * MINUTE);
        else if (chance < 0.87) await world.check().catch(onlyWeather);
        else if (chance < 0.9) await trimSome(world);
        else if (chance < 0.95) await world.restart();
        else await alter(world);
      }
      world.isCalm = true;
      await world.restart();
      await world.check();
      for (let round = 0; round < 12; round++) {
        world.clock.shift += 30 * MINUTE;
        await world.append();
        await world.round();
        await new Promise<void>((resolve) => systemClock.timer(15, resolve)); // manifests are written by a loop
      }
      await world.check();
      world.clock.shift += 120 * MINUTE;
      await expect
        .poll(
          async () => {
            await world.round();
            return world.differences();
          },
          { timeout: 10_000 },
        )
        .toEqual([]);
      await world.check();
    } finally {
      await world.node?.close();
      await world.closeEngines();
      await rm(folder, { recursive: true, force: true });
    }
  },
  60_000,
);

/** A read may fail; what it gives must be right. */
function onlyWeather(error: unknown): void {
  if (!isStorageError(error)) throw error;
}

async function trimSome(world: World): Promise<void> {
  const shard = await world.shard();
  try {
    const { logStart, committed } = await shard.offsets();
    await shard.trim(logStart + Math.floor(world.random.next() * 0.3 * (committed - logStart)));
  } catch (error) {
    onlyWeather(error);
  }
}

async function alter(world: World): Promise<void> {
  const change = ALTERATIONS[Math.floor(world.random.next() * ALTERATIONS.length)] ?? {};
  await world.shard();
  await world.node?.storage.alterTopic('t', change, { allowWeakerDurability: true }).catch(onlyWeather);
}
