import {
  type EngineHarness,
  openServiceWorld,
  openShardWorld,
  openWorld,
  type ServiceAddress,
  type ShardHarness,
  type Stage,
  settingsOf,
} from '@robustmq/conformance';
import type { EngineDefinition, SegmentReader, SegmentWriter, Shard, StorageEngine } from '@robustmq/core';
import memoryEngine from '@robustmq/engine-memory';
import type { Workshop } from '../src/check.ts';

/** One thing wrong, on purpose. The suite is only worth what it catches of these. */
export interface Mutant {
  /** What it does wrong: goes on after "an engine that" or "a shard that". */
  readonly name: string;
  /** The real one that it mimics,. */
  readonly incident: string;
  readonly stage: Stage['kind'];
  /** The check that is meant to catch it. */
  readonly caughtBy: string;
  /** Every other check that fails because of it. Whatever is not named here passes. */
  readonly alsoFails: readonly string[];
  /** Fails when the moment is right, so it is neither asked for nor a surprise. With the reason, in a comment. */
  readonly mayFail?: readonly string[];
  /** Only in a process of its own: what it does ends others, or is seen by them. */
  readonly apart?: true;
  readonly definition: EngineDefinition;
  /** A service that it talks to, through a link; its settings are `host` and `port`. */
  readonly service?: () => Promise<ServiceAddress>;
  /** What stands between core's wrapper and whoever calls it. */
  readonly wrapper?: (guarded: StorageEngine) => Partial<StorageEngine>;
  /** What stands between core's shard and whoever calls it. `life` counts the restarts. */
  readonly shard?: (shard: Shard, life: number) => Partial<Shard>;
}

/** Settings of the suite's own hands are those of a schema's defaults. */
export const MEMORY: EngineDefinition = memoryEngine as EngineDefinition;

/** An engine with one thing wrong. `wrong` gets the sound engine; what it does not replace stays sound. */
export function broken(
  sound: EngineDefinition,
  wrong: (engine: StorageEngine) => Partial<StorageEngine>,
  claims: Partial<EngineDefinition['capabilities']> = {},
): EngineDefinition {
  return {
    ...sound,
    capabilities: { ...sound.capabilities, ...claims },
    open: async (ctx) => {
      const engine = await sound.open(ctx);
      return override(engine, wrong(engine));
    },
  };
}

export function brokenWriter(
  sound: EngineDefinition,
  wrong: (writer: SegmentWriter, engine: StorageEngine) => Partial<SegmentWriter>,
): EngineDefinition {
  return broken(sound, (engine) => wrongWriter(engine, wrong));
}

export function brokenReader(
  sound: EngineDefinition,
  wrong: (reader: SegmentReader, id: string) => Partial<SegmentReader>,
): EngineDefinition {
  return broken(sound, (engine) => ({
    openReader: async (id) => {
      const reader = await engine.openReader(id);
      return override(reader, wrong(reader, id));
    },
  }));
}

/** The same of an engine that is there already: for {@link Mutant.wrapper}. */
export function wrongWriter(
  engine: StorageEngine,
  wrong: (writer: SegmentWriter, engine: StorageEngine) => Partial<SegmentWriter>,
): Partial<StorageEngine> {
  return {
    create: async (id, options) => {
      const writer = await engine.create(id, options);
      return override(writer, wrong(writer, engine));
    },
  };
}

export function override<T extends object>(sound: T, wrong: Partial<T>): T {
  return new Proxy(sound, {
    get: (target, name) => {
      const own: unknown = Reflect.get(name in wrong ? wrong : target, name);
      return typeof own === 'function' && !(name in wrong) ? own.bind(target) : own;
    },
  });
}

/** Where the mutant meets the suite. `module`: what a child process imports to run it. */
export function stageOf(mutant: Mutant, module?: string): Stage {
  const { definition, service } = mutant;
  const options = { config: settingsOf(definition), ...(module === undefined ? {} : { module }) };
  const openEngine = (): Promise<EngineHarness> =>
    service === undefined
      ? openWorld(definition, options)
      : openServiceWorld(definition, { ...options, service, settings: ({ host, port }) => ({ host, port }) });
  return mutant.stage === 'engine'
    ? { kind: 'engine', open: async () => wrapped(mutant, await openEngine()) }
    : { kind: 'shard', open: async () => resharded(mutant, await openShardWorld(definition, options)) };
}

function wrapped({ wrapper }: Mutant, sound: EngineHarness): EngineHarness {
  if (wrapper === undefined) return sound;
  const known = new WeakMap<StorageEngine, StorageEngine>();
  const wrap = (engine: StorageEngine): StorageEngine => {
    const before = known.get(engine) ?? override(engine, wrapper(engine));
    known.set(engine, before);
    return before;
  };
  const { workshop } = sound;
  return override(sound, {
    get engine() {
      return wrap(sound.engine);
    },
    ...(workshop === undefined ? {} : { workshop: wrapping(workshop, wrap) }),
  });
}

function wrapping(workshop: Workshop, wrap: (engine: StorageEngine) => StorageEngine): Workshop {
  return override(workshop, {
    open: async (options) => {
      const { instance, unlock } = await workshop.open(options);
      return { instance: override(instance, { engine: wrap(instance.engine) }), unlock };
    },
  });
}

function resharded({ shard: wrong }: Mutant, sound: ShardHarness): ShardHarness {
  if (wrong === undefined) return sound;
  const known = new WeakMap<Shard, Shard>();
  let lives = 0;
  return override(sound, {
    get shard() {
      const { shard } = sound;
      const before = known.get(shard) ?? override(shard, wrong(shard, lives++));
      known.set(shard, before);
      return before;
    },
  });
}
