import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ArchiveManifest,
  type ArchiveReader,
  type EngineDefinition,
  type EngineInstance,
  type Meta,
  openArchive,
  openInstance,
  readManifest,
  type Shard,
  silentLogger,
  systemClock,
  systemRandom,
  type TopicSettings,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';
import type { LogShard } from '../../src/shard/shard.ts';
import { batch, type Node, openInstanceOf, openNode, readAll, shardOf } from '../storage/harness.ts';
import directoryEngine from './directory-engine.ts';

const lasting: EngineDefinition = {
  ...(memoryEngine as EngineDefinition),
  capabilities: { ...memoryEngine.capabilities, durability: 'fsync' },
};
const directory = directoryEngine as EngineDefinition;

const SETTINGS: Partial<TopicSettings> = { engine: 'hot', archive: { to: 'cold', after: 1, keepLocal: 0 } };

/** A node whose loops run all the time, with a cold tier that can be read by itself. */
export class ShelfWorld {
  readonly path: string;
  meta: Meta;
  node: Node | undefined;
  #hot: EngineInstance | undefined;
  /** Put around the cold engine before a start. */
  wrapCold: (instance: EngineInstance) => EngineInstance = (instance) => instance;
  wrapMeta: (meta: Meta) => Meta = (meta) => meta;

  private constructor(path: string, meta: Meta) {
    this.path = path;
    this.meta = meta;
  }

  static async open(prepare: (world: ShelfWorld) => void = () => {}): Promise<ShelfWorld> {
    const world = new ShelfWorld(await mkdtemp(join(tmpdir(), 'robust-shelf-')), new MemoryMeta());
    prepare(world);
    await world.start();
    return world;
  }

  async start(): Promise<void> {
    this.#hot ??= await openInstanceOf(lasting, 'hot', this.meta);
    const cold = await openInstance(directory, {
      instance: 'cold',
      dir: this.path,
      config: { path: this.path },
      fs: undefined as never, // it uses Node's
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      metrics: unreadMetrics,
      meta: this.meta,
      signal: new AbortController().signal,
    });
    this.node = await openNode({
      meta: this.wrapMeta(this.meta),
      clusterId: 'cluster-1',
      engines: new Map([
        ['hot', this.#hot],
        ['cold', this.wrapCold(cold)],
      ]),
      defaults: SETTINGS,
      tuning: { maintenanceIntervalMs: 10, manifestIntervalMs: 10, deleteGraceMs: 0 },
    });
  }

  /** Without a word to anybody, as a crash does. */
  async stop(): Promise<void> {
    await this.node?.close();
    this.node = undefined;
  }

  /** The disks of the node are gone, what is in the archive is all there is. */
  async loseAllButArchive(meta: Meta = new MemoryMeta()): Promise<void> {
    await this.stop();
    this.meta = meta;
    this.#hot = undefined;
  }

  async shard(topic = 't'): Promise<LogShard> {
    if (this.node === undefined) throw new Error('it is not open');
    return (await shardOf(this.node.storage, topic)) as LogShard; // this adapter made it
  }

  /** Appends one record a segment. */
  async fill(from: number, count: number, topic = 't'): Promise<void> {
    const shard = await this.shard(topic);
    for (let i = from; i < from + count; i++) {
      await shard.append([batch([`v${i}`])]);
      await shard.log.rollNow();
    }
  }

  async read(topic = 't'): Promise<string[]> {
    return readAll((await this.shard(topic)) as Shard);
  }

  archive(): Promise<ArchiveReader> {
    return openArchive(directory, 'cold', {
      config: { path: this.path },
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      signal: new AbortController().signal,
    });
  }

  async manifest(): Promise<ArchiveManifest> {
    return readManifest(await this.archive());
  }

  /** `0-3`, as the newest manifest has them. */
  async listed(topic = 't'): Promise<string[]> {
    const { topics } = await this.manifest();
    const found = topics.find(({ name }) => name === topic)?.shards ?? [];
    return found.flatMap(({ segments }) => segments.map(({ base, end }) => `${base}-${end}`));
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.path, { recursive: true, force: true });
  }
}
