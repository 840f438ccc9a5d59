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
  metaOfInstance,
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
import type { FlakyLink } from './faults-net/flaky-link.ts';
import { Lifeline } from './lifeline.ts';

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

/** What an engine reaches beside its directory and Meta. */
export interface Outside {
  readonly link?: FlakyLink;
  /** As one life of the instance reaches it. */
  reach(): Promise<Reach>;
  /** Settings for other instances that share a medium if they share `meta`, and nothing else. */
  configOn(meta: Meta): unknown;
}

export interface Reach {
  readonly config: unknown;
  /** Nothing of this life gets through any more. */
  cut(): void;
  close(): Promise<void>;
}

/** A world for an engine that lives on this machine: a directory of its own, real time and files, a Meta in memory. */
export function openWorld(definition: EngineDefinition, options: WorldOptions): Promise<EngineWorld> {
  const { config } = options;
  const reach: Reach = { config, cut: () => {}, close: async () => {} };
  return openWorldWith(definition, options, { reach: async () => reach, configOn: () => config });
}

export async function openWorldWith(
  definition: EngineDefinition,
  options: Omit<WorldOptions, 'config'>,
  outside: Outside,
): Promise<EngineWorld> {
  const dir = await mkdtemp(join(tmpdir(), `robust-${definition.name}-`));
  const world = new World(definition, options, outside, dir);
  try {
    await world.start();
  } catch (error) {
    await world.dispose();
    throw error;
  }
  return world;
}

const INSTANCE = 'proven';

class World implements EngineWorld {
  readonly #definition: EngineDefinition;
  readonly #options: Omit<WorldOptions, 'config'>;
  readonly #outside: Outside;
  readonly #dir: string;
  readonly meta: Meta = new MemoryMeta();
  #life: Life | undefined;
  readonly #abandoned: Life[] = [];
  /** Of starts that have failed. */
  readonly #left: Reach[] = [];

  constructor(definition: EngineDefinition, options: Omit<WorldOptions, 'config'>, outside: Outside, dir: string) {
    this.#definition = definition;
    this.#options = options;
    this.#outside = outside;
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

  get link(): FlakyLink | undefined {
    return this.#outside.link;
  }

  get workshop(): Workshop {
    return {
      definition: this.#definition,
      configOn: (meta) => this.#outside.configOn(meta),
      module: this.#options.module,
      partOf: (meta) => metaOfInstance(meta, INSTANCE),
      open: async ({
        dir,
        meta,
        fs = nodeFileSystem,
        clock = systemClock,
        node = 1,
        config = this.#outside.configOn(meta),
      }) => {
        const { instance, locks } = await this.#open({ dir, meta, fs, clock, config, node });
        return { instance, unlock: () => releaseAll(locks) };
      },
    };
  }

  async start(): Promise<void> {
    const plan = new FaultPlan();
    const meta = new Lifeline(this.meta);
    const giveUp = new AbortController();
    const reach = await this.#outside.reach();
    try {
      const opened = await this.#open({
        dir: join(this.#dir, 'instance'),
        meta,
        fs: faultyFileSystem(nodeFileSystem, plan),
        clock: systemClock,
        config: reach.config,
        signal: giveUp.signal,
      });
      this.#life = { ...opened, plan, meta, reach, giveUp };
    } catch (error) {
      // what it has sent may still be on its way
      this.#left.push(reach);
      throw error;
    }
  }

  async #open(given: Given): Promise<Pick<Life, 'instance' | 'locks'>> {
    const locks: { release(): Promise<void> }[] = [];
    await mkdir(given.dir, { recursive: true });
    const context = {
      instance: INSTANCE,
      lock: async (path: string) => {
        const lock = await lockDirectory(path);
        locks.push(lock);
        return lock;
      },
      random: systemRandom,
      logger: silentLogger,
      metrics: unreadMetrics,
      signal: new AbortController().signal,
      ...given,
    };
    const instance = await openInstance(this.#definition, this.#options.adjust?.(context) ?? context);
    return { instance, locks };
  }

  async reopen({ crash }: { readonly crash: boolean }): Promise<void> {
    // none: the last start has failed
    const life = this.#life;
    this.#life = undefined;
    if (life !== undefined && crash) {
      // from here on it can do nothing any more, and it never learns why
      life.meta.cut();
      life.reach.cut();
      await life.plan.cut();
      this.#abandoned.push(life);
      await releaseAll(life.locks);
    } else if (life !== undefined) await end(life);
    await this.start();
  }

  async dispose(): Promise<void> {
    try {
      if (this.#life !== undefined) await end(this.#life);
      // only to let go of threads and descriptors
      for (const life of this.#abandoned) {
        life.giveUp.abort();
        await end(life).catch(() => {});
      }
    } finally {
      for (const reach of this.#left) await reach.close();
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
  readonly meta: Lifeline;
  readonly reach: Reach;
  readonly giveUp: AbortController;
  readonly locks: readonly { release(): Promise<void> }[];
}

interface Given {
  readonly dir: string;
  readonly meta: Meta;
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly config: unknown;
  readonly node?: number;
  readonly signal?: AbortSignal;
}

async function end({ instance, reach }: Life): Promise<void> {
  try {
    await instance.close();
  } finally {
    await reach.close();
  }
}

async function releaseAll(locks: readonly { release(): Promise<void> }[]): Promise<void> {
  for (const lock of locks) await lock.release();
}
