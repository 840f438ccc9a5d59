import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  type EngineContext,
  type EngineDefinition,
  type FileSystem,
  lockDirectory,
  type Meta,
  nodeFileSystem,
  type OpenEngineInstance,
  openInstance,
  type StorageEngine,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { FaultPlan, faultyFileSystem, MemoryMeta } from '@robustmq/core/testing';
import type { EngineHarness, Workshop } from './check.ts';

export interface WorldOptions {
  /** The instance's settings, with defaults filled in. */
  readonly config: unknown;
  /** A URL that a child process can import the engine from, for checks that kill one. */
  readonly module?: string;
  /** Changes what the instance is given. */
  readonly adjust?: (
    context: Omit<EngineContext, 'health' | 'node' | 'usage'>,
  ) => Omit<EngineContext, 'health' | 'node' | 'usage'>;
}

/** An engine instance that can be stopped and pulled the plug of. */
export interface EngineWorld extends EngineHarness {
  readonly instance: OpenEngineInstance;
  /** Survives both. */
  readonly meta: Meta;
}

/** A world for an engine that lives on this machine: a directory of its own, real time and files, a Meta in memory. */
export async function openWorld(definition: EngineDefinition, options: WorldOptions): Promise<EngineWorld> {
  const world = new World(definition, options, await mkdtemp(join(tmpdir(), `robust-${definition.name}-`)));
  await world.start();
  return world;
}

class World implements EngineWorld {
  readonly #definition: EngineDefinition;
  readonly #options: WorldOptions;
  readonly #dir: string;
  readonly meta: Meta = new MemoryMeta();
  #life: Life | undefined;
  readonly #abandoned: Life[] = [];

  constructor(definition: EngineDefinition, options: WorldOptions, dir: string) {
    this.#definition = definition;
    this.#options = options;
    this.#dir = dir;
  }

  get engine(): StorageEngine {
    return this.#alive.instance.engine;
  }

  /** Memory goes with the process, and this process goes on: there is nothing that a crash here could show. */
  get canCrash(): boolean {
    return this.#definition.capabilities.durability !== 'none';
  }

  get instance(): OpenEngineInstance {
    return this.#alive.instance;
  }

  get workshop(): Workshop {
    return {
      definition: this.#definition,
      config: this.#options.config,
      module: this.#options.module,
      open: async ({ dir, meta, fs = nodeFileSystem, clock }) => {
        const { instance, locks } = await this.#open(dir, meta, fs, clock);
        return { instance, unlock: () => releaseAll(locks) };
      },
    };
  }

  async start(): Promise<void> {
    const plan = new FaultPlan();
    const { instance, locks } = await this.#open(
      join(this.#dir, 'instance'),
      this.meta,
      faultyFileSystem(nodeFileSystem, plan),
    );
    this.#life = { instance, plan, locks };
  }

  async #open(
    dir: string,
    meta: Meta,
    fs: FileSystem,
    clock: Clock = systemClock,
  ): Promise<Pick<Life, 'instance' | 'locks'>> {
    const locks: { release(): Promise<void> }[] = [];
    await mkdir(dir, { recursive: true });
    const context = {
      instance: 'proven',
      dir,
      config: this.#options.config,
      fs,
      lock: async (path: string) => {
        const lock = await lockDirectory(path);
        locks.push(lock);
        return lock;
      },
      clock,
      random: systemRandom,
      logger: silentLogger,
      metrics: unreadMetrics,
      meta,
      signal: new AbortController().signal,
    };
    const instance = await openInstance(this.#definition, this.#options.adjust?.(context) ?? context);
    return { instance, locks };
  }

  async reopen({ crash }: { readonly crash: boolean }): Promise<void> {
    // none: the last start has failed
    const life = this.#life;
    this.#life = undefined;
    if (life !== undefined && crash) {
      // from here on it can do nothing to its files any more, and it never learns why
      await life.plan.cut();
      this.#abandoned.push(life);
      await releaseAll(life.locks);
    } else await life?.instance.close();
    await this.start();
  }

  async dispose(): Promise<void> {
    try {
      await this.#life?.instance.close();
      // only to let go of threads and descriptors
      for (const { instance } of this.#abandoned) await instance.close().catch(() => {});
    } finally {
      await rm(this.#dir, { recursive: true, force: true });
    }
  }

  get #alive(): Life {
    if (this.#life === undefined) throw new Error('the world is closed');
    return this.#life;
  }
}

interface Life {
  readonly instance: OpenEngineInstance;
  readonly plan: FaultPlan;
  readonly locks: readonly { release(): Promise<void> }[];
}

async function releaseAll(locks: readonly { release(): Promise<void> }[]): Promise<void> {
  for (const lock of locks) await lock.release();
}
