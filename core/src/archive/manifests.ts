/** The manifests of a node: a keeper for each instance whose store can be read by itself, told of changes by a watch of the chains. */
import type { Topic } from '../adapter.ts';
import { isStorageError } from '../errors.ts';
import type { Meta, MetaEvent } from '../meta/port.ts';
import { headCodec, segmentCodec } from '../shard/chain.ts';
import type { EngineInstance } from '../storage-options.ts';
import type { TopicTable } from '../topics/table.ts';
import type { Clock, Logger, Metrics, Random } from '../world.ts';
import { shardNameOf } from './chains.ts';
import { ManifestKeeper, type ManifestStatus } from './manifest-keeper.ts';

type MetaPut = Extract<MetaEvent, { readonly type: 'put' }>;

export interface ManifestsOptions {
  readonly engines: ReadonlyMap<string, EngineInstance>;
  readonly table: Pick<TopicTable, 'all' | 'listen'>;
  readonly cluster: string;
  readonly meta: Meta;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly intervalMs: number;
  /** Between two tries to reach Meta. */
  pause(): Promise<void>;
}

export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #keepers = new Map<string, ManifestKeeper>();
  #watching: Promise<unknown> = Promise.resolve();
  #stopListening: () => void = () => {};

  constructor(options: ManifestsOptions) {
    this.#options = options;
    const { meta, clock, random, cluster, intervalMs, metrics, table } = options;
    for (const { name, engine } of options.engines.values()) {
      const { shelf } = engine;
      if (shelf === undefined) continue;
      const labels = { instance: name };
      const keeper = new ManifestKeeper({
        instance: name,
        shelf,
        cluster,
        meta,
        clock,
        random,
        intervalMs,
        topics: () => table.all(),
        written: metrics.counter('robust_archive_manifests_total', 'Manifests written into the store', labels),
        failures: metrics.counter(
          'robust_archive_manifest_failures_total',
          'Manifests that could not be written; each is tried again',
          labels,
        ),
      });
      this.#keepers.set(name, keeper);
      metrics.gauge(
        'robust_archive_manifest_age_seconds',
        'Time since the newest manifest was written, while something has changed since; 0: nothing has',
        () => keeper.ageMs / 1000,
        labels,
      );
    }
  }

  /** Follows topics and chains from now on. */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#keepers.size === 0) return;
    const { meta, table } = this.#options;
    this.#stopListening = table.listen(({ type, topic }) => this.#tell(type, topic));
    // what came before is read by the first round
    const { revision } = await meta.list({ prefix: 'chain/', limit: 1 });
    this.#watching = Promise.all([
      this.#follow('chain/', revision, signal, (event) => this.#segmentChanged(event)),
      this.#follow('shard/', revision, signal, (event) => this.#headChanged(event)),
    ]);
  }

  /** Resolves when the watch has ended. */
  async stopped(): Promise<void> {
    this.#stopListening();
    await this.#watching;
  }

  /** True unless a manifest names the segment: what one names stays until a newer one is in the store. */
  mayDelete({ instance, id }: { readonly instance: string; readonly id: string }): boolean {
    return this.#keepers.get(instance)?.mayDelete(id) ?? true;
  }

  /** Those that have manifests. */
  get instances(): readonly string[] {
    return [...this.#keepers.keys()];
  }

  /** Writes the manifest of an instance if one is due. */
  async round(instance: string, options: { readonly now?: boolean } = {}): Promise<void> {
    try {
      await this.#keepers.get(instance)?.round(options);
    } catch (error) {
      if (!isStorageError(error, 'CLOSED'))
        this.#options.logger.warn({ engine: instance, err: error }, 'a manifest could not be written yet');
    }
  }

  /** Writes whatever has changed. */
  async drain(): Promise<void> {
    // the watch may not have told of the last changes yet
    for (const keeper of this.#keepers.values()) keeper.touchAll();
    await Promise.all(this.instances.map((instance) => this.round(instance, { now: true })));
  }

  status(): ManifestStatus[] {
    return [...this.#keepers.values()].map((keeper) => keeper.status());
  }

  #tell(type: 'created' | 'altered' | 'deleted', topic: Topic): void {
    for (const keeper of this.#keepers.values()) {
      if (type === 'deleted') keeper.forget(topic.id);
      else keeper.retell();
    }
  }

  async #follow(prefix: string, from: number, signal: AbortSignal, take: (event: MetaPut) => void): Promise<void> {
    const { meta, logger, pause } = this.#options;
    for (let at = from; !signal.aborted; ) {
      try {
        for await (const events of meta.watch({ prefix, from: at, signal }))
          for (const event of events) {
            at = Math.max(at, event.revision);
            if (event.type === 'put') take(event);
          }
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!isStorageError(error, 'META_COMPACTED'))
          logger.error({ err: error }, 'the watch of chains for manifests failed');
        await pause();
        at = await this.#lookAgain(at);
      }
    }
  }

  /** @returns the revision to watch from: what came before is read by the next round */
  async #lookAgain(at: number): Promise<number> {
    try {
      const { revision } = await this.#options.meta.list({ prefix: 'chain/', limit: 1 });
      for (const keeper of this.#keepers.values()) keeper.touchAll();
      return revision;
    } catch {
      return at; // the watch will say the same again
    }
  }

  #segmentChanged({ key, value }: MetaPut): void {
    const { state, instance } = segmentCodec.decode(value, key);
    if (state === 'SEALED' || state === 'DELETING' || state === 'LOST')
      this.#keepers.get(instance)?.touch(shardNameOf(key));
  }

  #headChanged({ key, value }: MetaPut): void {
    const { logStart } = headCodec.decode(value, key);
    for (const keeper of this.#keepers.values()) keeper.trimmed(shardNameOf(key), logStart);
  }
}
