/**
 * This node's view of the topics in Meta, kept up to date by a watch.
 *
 *     topic/<name>        name, id, shards, what was set on it
 *     live/<id>           exists as long as the topic: guards every commit of its shards
 *     deleting/<id>       a deleted topic whose segments are not all gone
 */
import type { Topic, TopicEvent, TopicOverrides } from '../adapter.ts';
import { isStorageError } from '../errors.ts';
import type { Meta, MetaEvent } from '../meta/port.ts';
import { type RowCodec, rowCodec } from '../meta/row.ts';
import type { Logger } from '../world.ts';
import type { TopicPolicy } from './policy.ts';
import { resolveSettings } from './settings.ts';

export interface TopicRow {
  readonly id: string;
  readonly name: string;
  readonly shards: number;
  readonly overrides: TopicOverrides;
}

export const topicCodec: RowCodec<TopicRow> = rowCodec('T', 1, (json) => {
  const { id, name, shards, overrides } = json;
  if (typeof id !== 'string' || typeof name !== 'string' || typeof shards !== 'number')
    throw new Error('a field is missing');
  return { id, name, shards, overrides: (overrides ?? {}) as TopicOverrides }; // was checked before it was written
});

export const TOPICS = 'topic/';

export function topicKey(name: string): string {
  return `${TOPICS}${name}`;
}

export function deletingKey(id: string): string {
  return `deleting/${id}`;
}

export interface KnownTopic {
  readonly topic: Topic;
  readonly row: TopicRow;
  readonly revision: number;
}

export class TopicTable {
  readonly #meta: Meta;
  readonly #policy: TopicPolicy;
  readonly #logger: Logger;
  /** Between two tries to reach Meta. */
  readonly #pause: () => Promise<void>;
  readonly #byName = new Map<string, KnownTopic>();
  readonly #byId = new Map<string, KnownTopic>();
  readonly #listeners = new Set<(event: TopicEvent) => void>();
  /** Topics that this node has removed and the watch has not: what it still tells about them is older. No more than a watch may lag behind. */
  readonly #removed = new Map<string, number>();
  #revision = 0;
  #watching: Promise<void> = Promise.resolve();

  constructor(meta: Meta, policy: TopicPolicy, logger: Logger, pause: () => Promise<void>) {
    this.#meta = meta;
    this.#policy = policy;
    this.#logger = logger;
    this.#pause = pause;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#listAll();
    this.#watching = this.#follow(signal);
  }

  /** Resolves when the watch has ended. */
  stopped(): Promise<void> {
    return this.#watching;
  }

  get(name: string): KnownTopic | undefined {
    return this.#byName.get(name);
  }

  byId(id: string): KnownTopic | undefined {
    return this.#byId.get(id);
  }

  *all(): Iterable<Topic> {
    for (const known of this.#byName.values()) yield known.topic;
  }

  listen(listener: (event: TopicEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Takes in a row that this node has just written, ahead of the watch. */
  put(row: TopicRow, revision: number): Topic {
    const known = this.#byName.get(row.name);
    if (known !== undefined && known.revision >= revision) return known.topic;
    const { settings, origins } = resolveSettings(row.name, row.overrides, this.#policy);
    const topic: Topic = {
      name: row.name,
      id: row.id,
      shards: row.shards,
      internal: row.name.startsWith('__'),
      settings: { ...settings, shards: row.shards },
      origins,
    };
    if (known === undefined && revision <= (this.#removed.get(row.name) ?? 0)) return topic;
    const replaced = known !== undefined && known.row.id !== row.id;
    if (replaced) this.remove(row.name, revision);
    this.#byName.set(row.name, { topic, row, revision });
    this.#byId.set(row.id, { topic, row, revision });
    this.#emit({ type: known === undefined || replaced ? 'created' : 'altered', topic });
    return topic;
  }

  remove(name: string, revision: number): void {
    const known = this.#byName.get(name);
    if (known === undefined || known.revision > revision) return;
    if (revision > this.#revision) this.#removed.set(name, revision);
    this.#byName.delete(name);
    this.#byId.delete(known.row.id);
    this.#emit({ type: 'deleted', topic: known.topic });
  }

  async #listAll(): Promise<void> {
    const seen = new Set<string>();
    let revision = Number.MAX_SAFE_INTEGER;
    for (let after: string | undefined, more = true; more; ) {
      const page = await this.#meta.list({ prefix: TOPICS, ...(after === undefined ? {} : { after }) });
      revision = Math.min(revision, page.revision); // a watch from the first page's revision sees what changed in later ones
      for (const entry of page.entries) {
        seen.add(entry.key.slice(TOPICS.length));
        this.put(topicCodec.decode(entry.value, entry.key), entry.revision);
      }
      after = page.entries.at(-1)?.key;
      more = page.more && after !== undefined;
    }
    for (const name of [...this.#byName.keys()]) if (!seen.has(name)) this.remove(name, revision);
    this.#caughtUp(revision);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let behind = false; !signal.aborted; ) {
      try {
        if (behind) await this.#listAll();
        behind = false;
        for await (const events of this.#meta.watch({ prefix: TOPICS, from: this.#revision, signal }))
          this.#take(events);
        return;
      } catch (error) {
        if (signal.aborted) return;
        behind = true;
        if (isStorageError(error, 'META_COMPACTED')) continue;
        this.#logger.error({ err: error }, 'the watch of topics failed');
        await this.#pause();
      }
    }
  }

  #take(events: readonly MetaEvent[]): void {
    for (const event of events) {
      const name = event.key.slice(TOPICS.length);
      if (event.type === 'put') this.put(topicCodec.decode(event.value, event.key), event.revision);
      else this.remove(name, event.revision);
      this.#caughtUp(Math.max(this.#revision, event.revision));
    }
  }

  #caughtUp(revision: number): void {
    this.#revision = revision;
    for (const [name, removed] of this.#removed) {
      if (removed > revision) break; // in order of removal, more or less: what is left behind goes next time
      this.#removed.delete(name);
    }
  }

  #emit(event: TopicEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
