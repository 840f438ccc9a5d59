import {
  type EngineDefinition,
  NO_ARCHIVE,
  openStorage,
  type Shard,
  type Storage,
  silentLogger,
  systemClock,
  systemRandom,
  type TopicSettings,
  unreadMetrics,
} from '@robustmq/core';
import type { ShardHarness } from './check.ts';
import { Lifeline } from './lifeline.ts';
import { type EngineWorld, openWorld, type WorldOptions } from './world.ts';

export interface ShardWorldOptions extends WorldOptions {
  /** Segments of this size: small, so that the checks cross many of them. */
  readonly segmentBytes?: number;
}

/** Core's storage layer with one topic of one shard, over a world of {@link openWorld}. */
export async function openShardWorld(definition: EngineDefinition, options: ShardWorldOptions): Promise<ShardHarness> {
  return await shardOn(await openWorld(definition, options), options.segmentBytes);
}

/** The same over any world; it goes with it. */
export async function shardOn(world: EngineWorld, segmentBytes: number = 64 * 1024): Promise<ShardHarness> {
  const shards = new ShardWorld(world, segmentBytes);
  try {
    await shards.start();
  } catch (error) {
    await shards.dispose();
    throw error;
  }
  return shards;
}

class ShardWorld implements ShardHarness {
  readonly #world: EngineWorld;
  readonly #segmentBytes: number;
  #life: Life | undefined;
  readonly #abandoned: Storage[] = [];

  constructor(world: EngineWorld, segmentBytes: number) {
    this.#world = world;
    this.#segmentBytes = segmentBytes;
  }

  get shard(): Shard {
    return this.#alive.shard;
  }

  get canCrash(): boolean {
    return this.#world.canCrash;
  }

  async start(): Promise<void> {
    const meta = new Lifeline(this.#world.meta);
    const storage = await openStorage({
      nodeId: 1,
      meta,
      engines: new Map([[this.#world.instance.name, this.#world.instance]]),
      policy: { rules: [], defaults: this.#settings(), autoCreate: true },
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      metrics: unreadMetrics,
    });
    const topic = await storage.ensureTopic('proven');
    this.#life = { storage, meta, shard: storage.shard(topic, 0) };
  }

  async reopen({ crash }: { readonly crash: boolean }): Promise<void> {
    const { storage, meta } = this.#alive;
    this.#life = undefined;
    if (crash) {
      meta.cut();
      this.#abandoned.push(storage);
    } else {
      await storage.drain();
      await storage.close();
    }
    await this.#world.reopen({ crash });
    await this.start();
  }

  async takeOver(): Promise<Shard> {
    const { storage, meta, shard } = this.#alive;
    this.#life = undefined;
    meta.cut();
    this.#abandoned.push(storage);
    await this.start();
    return shard;
  }

  async dispose(): Promise<void> {
    await this.#life?.storage.close();
    // a round of theirs may wait for an engine whose Meta is gone: that ends with the engine
    const closing = this.#abandoned.map((storage) => storage.close().catch(() => {}));
    await this.#world.dispose();
    await Promise.all(closing);
  }

  get #alive(): Life {
    if (this.#life === undefined) throw new Error('the world is closed');
    return this.#life;
  }

  #settings(): TopicSettings {
    return {
      engine: this.#world.instance.name,
      engineSettings: {},
      shards: 1,
      retention: { ms: -1, bytes: -1 },
      segment: { bytes: this.#segmentBytes, ms: 3_600_000 },
      cleanup: 'delete',
      deleteRetentionMs: 86_400_000,
      maxMessageBytes: Math.min(this.#world.instance.capabilities.maxBatchBytes, 1024 * 1024),
      archive: { to: NO_ARCHIVE, after: 600_000, keepLocal: 3_600_000 },
    };
  }
}

interface Life {
  readonly storage: Storage;
  readonly meta: Lifeline;
  readonly shard: Shard;
}
