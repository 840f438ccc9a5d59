import {
  type EngineDefinition,
  type EngineInstance,
  type Meta,
  type Shard,
  StorageError,
  type StorageOptions,
  systemClock,
  type TopicSettings,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';
import type { LogShard } from '../../src/shard/shard.ts';
import { upkeep } from '../../src/shard/upkeep.ts';
import { batch, type Node, openInstanceOf, openMemoryInstance, openNode, readAll, shardOf } from './harness.ts';

export const MINUTE = 60_000;

/** What the instances here hold outlives the storage layer above them, which is what a crash of that layer is about. */
const lasting: EngineDefinition = {
  ...(memoryEngine as EngineDefinition),
  capabilities: { ...memoryEngine.capabilities, durability: 'fsync' },
};

/** Steps of a run, each of which may be the last: commits, and calls of engines that change something. */
export class Steps {
  count = 0;
  /** The step at which the process dies: before it is taken, or after it was and before anybody hears of it. */
  crashAt: { readonly step: number; readonly applied: boolean } | undefined;
  crashed = false;

  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.crashed) throw gone();
    const step = ++this.count;
    const isLast = step === this.crashAt?.step;
    if (isLast && this.crashAt?.applied === false) {
      this.crashed = true;
      throw gone();
    }
    const result = await run();
    if (isLast) {
      this.crashed = true;
      throw gone();
    }
    if (this.crashed) throw gone();
    return result;
  }
}

function gone(): StorageError {
  return new StorageError('META_UNAVAILABLE', 'the process is dead');
}

/** A node with a hot engine, two cold ones, one that keeps nothing past its process, and a clock that a test can turn. */
export class ArchiveWorld {
  readonly clock = { shift: 0, ...systemClock, wall: () => systemClock.wall() + this.clock.shift };
  readonly meta: Meta = new MemoryMeta();
  readonly instances: ReadonlyMap<string, EngineInstance>;
  readonly #defaults: Partial<TopicSettings>;
  steps = new Steps();
  node: Node | undefined;
  /** Of the event loop, from the next start on. */
  busy: (() => number) | undefined;

  private constructor(instances: ReadonlyMap<string, EngineInstance>, defaults: Partial<TopicSettings>) {
    this.instances = instances;
    this.#defaults = defaults;
  }

  static async open(defaults: Partial<TopicSettings>): Promise<ArchiveWorld> {
    const meta = new MemoryMeta();
    const instances = new Map<string, EngineInstance>();
    for (const name of ['hot', 'cold', 'other']) instances.set(name, await openInstanceOf(lasting, name, meta));
    instances.set('fleeting', await openMemoryInstance('fleeting', meta));
    const world = new ArchiveWorld(instances, { engine: 'hot', ...defaults });
    await world.start();
    return world;
  }

  /** Nothing is done in the background unless `tuning` says so. */
  async start(tuning: StorageOptions['tuning'] = {}): Promise<void> {
    const steps = new Steps();
    this.steps = steps;
    const meta: Meta = {
      get: (key) => (steps.crashed ? Promise.reject(gone()) : this.meta.get(key)),
      list: (options) => (steps.crashed ? Promise.reject(gone()) : this.meta.list(options)),
      watch: (options) => this.meta.watch(options),
      commitEach: (mutations) => steps.take(() => this.meta.commitEach(mutations)),
      commit: (mutation) => steps.take(() => this.meta.commit(mutation)),
    };
    const engines = new Map([...this.instances].map(([name, instance]) => [name, stepwise(instance, steps)]));
    this.node = await openNode({
      meta,
      engines,
      clock: this.clock,
      ...(this.busy === undefined ? {} : { busy: this.busy }),
      tuning: { maintenanceIntervalMs: 3_600_000, deleteGraceMs: 0, ...tuning },
      defaults: this.#defaults,
    });
  }

  async restart(tuning: StorageOptions['tuning'] = {}): Promise<void> {
    await this.node?.close();
    await this.start(tuning);
  }

  async shard(): Promise<LogShard> {
    if (this.node === undefined) throw new Error('it is not open');
    return (await shardOf(this.node.storage, 't')) as LogShard; // this adapter made it
  }

  /** Appends one record a segment. */
  async fill(from: number, count: number): Promise<void> {
    const shard = await this.shard();
    for (let i = from; i < from + count; i++) {
      await shard.append([batch([`v${i}`])]);
      await shard.log.rollNow();
    }
  }

  /** What the loops do in a while. */
  async rounds(count = 4): Promise<void> {
    const { log } = await this.shard();
    await log.opened();
    for (let i = 0; i < count; i++) {
      await upkeep(log).catch(() => {}); // the loops log it
      for (let went = true; went; ) went = await log.moves.next(() => {}).catch(() => false);
    }
  }

  /** `0-1 hot`, and what waits to be deleted with a sign in front: `~` a copy that readers may use, `-` the rest. */
  async chain(): Promise<string[]> {
    const { log } = await this.shard();
    await log.opened();
    const text = (row: { base: number; end: number; instance: string }) => `${row.base}-${row.end} ${row.instance}`;
    return [...log.rows.map(text), ...log.deleting.map((row) => `${row.kept === true ? '~' : '-'}${text(row)}`)];
  }

  /** Ids that lie in the engines and in no row of the chain. */
  async leaked(): Promise<string[]> {
    const { log } = await this.shard();
    const known = new Set(
      [...log.rows, ...log.deleting, ...(log.open === undefined ? [] : [log.open.row])].map((row) => row.id),
    );
    const found: string[] = [];
    for (const [name, { engine }] of this.instances)
      for (const id of await engine.list({ prefix: '', limit: 1000 })) if (!known.has(id)) found.push(`${name} ${id}`);
    return found;
  }

  async read(): Promise<string[]> {
    return readAll((await this.shard()) as Shard);
  }

  async close(): Promise<void> {
    await this.node?.close();
  }
}

/** Calls that change something are steps; what reads fails after the crash. */
function stepwise(instance: EngineInstance, steps: Steps): EngineInstance {
  const engine = new Proxy(instance.engine, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        const call = () => Reflect.apply(member, target, args) as Promise<unknown>; // every method gives one
        if (CHANGES.has(name)) return steps.take(call);
        return steps.crashed ? Promise.reject(gone()) : call();
      };
    },
  });
  return new Proxy(instance, { get: (target, name) => (name === 'engine' ? engine : Reflect.get(target, name)) });
}

const CHANGES: ReadonlySet<string | symbol> = new Set(['ingest', 'delete', 'create', 'recover']);
