import { type EngineDefinition, type Meta, systemRandom } from '@robustmq/core';
import type { ShardHarness } from './check.ts';
import type { FlakyLink } from './faults-net/flaky-link.ts';
import { type FlakyProxy, flakyProxy } from './faults-net/flaky-proxy.ts';
import { LinkFaults } from './faults-net/link-faults.ts';
import { type Settings, settingsOf } from './settings.ts';
import { type ShardWorldOptions, shardOn } from './shard-world.ts';
import { type EngineWorld, type Outside, openWorldWith, type Reach, type WorldOptions } from './world.ts';

export interface ServiceAddress {
  readonly host: string;
  readonly port: number;
}

/** Where an instance finds the service, and what tells its medium from others. */
export interface ServiceCorner extends ServiceAddress {
  /** 32 hexadecimal digits, the same for all instances of one medium: for a prefix, a bucket, a database of their own. */
  readonly world: string;
}

export interface ServiceWorldOptions extends Omit<WorldOptions, 'config'> {
  /** The service itself; a function for one that is started first. */
  readonly service: ServiceAddress | (() => ServiceAddress | Promise<ServiceAddress>);
  /**
   * The instance's settings, with which it connects to that address and nowhere else: the suite puts a connection in between that it can spoil and cut.
   * The address is another one after each reopen. What is missing has the defaults of the engine's schema.
   */
  settings(corner: ServiceCorner): Settings;
}

/** A world for an engine whose data is kept by a service: all that one life of it says to the service goes through a connection of that life, and through `link`. */
export async function openServiceWorld(
  definition: EngineDefinition,
  options: ServiceWorldOptions,
): Promise<EngineWorld> {
  const { service } = options;
  const address = typeof service === 'function' ? await service() : service;
  return await openWorldWith(
    definition,
    options,
    new Service(definition, address, (corner) => options.settings(corner)),
  );
}

/** Core's storage layer with one topic of one shard, over a world of {@link openServiceWorld}. */
export async function openServiceShardWorld(
  definition: EngineDefinition,
  options: ServiceWorldOptions & Pick<ShardWorldOptions, 'segmentBytes'>,
): Promise<ShardHarness> {
  return await shardOn(await openServiceWorld(definition, options), options.segmentBytes);
}

class Service implements Outside {
  readonly #definition: EngineDefinition;
  readonly #address: ServiceAddress;
  readonly #settings: ServiceWorldOptions['settings'];
  readonly #world: string = newWorld();
  readonly #others = new WeakMap<Meta, string>();
  readonly #faults = new LinkFaults();
  readonly #proxies = new Set<FlakyProxy>();

  constructor(definition: EngineDefinition, address: ServiceAddress, settings: ServiceWorldOptions['settings']) {
    this.#definition = definition;
    this.#address = address;
    this.#settings = settings;
    const { host } = address;
    const [one, other] = [1, 2].map((port) => JSON.stringify(settings({ host, port, world: this.#world })));
    if (one === other)
      throw new Error('the settings are the same for every port: they have to name the one that they are given');
  }

  get link(): FlakyLink {
    const faults = this.#faults;
    return {
      get requests() {
        return faults.requests;
      },
      get held() {
        return faults.held;
      },
      get arrived() {
        return faults.arrived;
      },
      fail: (nth, fault) => faults.fail(nth, fault),
      heal: () => {
        faults.disarm();
        for (const proxy of this.#proxies) proxy.heal();
      },
    };
  }

  async reach(): Promise<Reach> {
    const proxy = await flakyProxy({ ...this.#address, faults: this.#faults });
    this.#proxies.add(proxy);
    const close = async (): Promise<void> => {
      this.#proxies.delete(proxy);
      await proxy.close();
    };
    try {
      const { host, port } = proxy;
      const config = settingsOf(this.#definition, this.#settings({ host, port, world: this.#world }));
      return { config, cut: () => proxy.cut(), close };
    } catch (error) {
      await close();
      throw error;
    }
  }

  configOn(meta: Meta): unknown {
    const world = this.#others.get(meta) ?? newWorld();
    this.#others.set(meta, world);
    const { host, port } = this.#address;
    return settingsOf(this.#definition, this.#settings({ host, port, world }));
  }
}

function newWorld(): string {
  return systemRandom.uuid().replaceAll('-', '');
}
