import {
  checkMutation,
  META_LIMITS,
  type Meta,
  type MetaCommitResult,
  type MetaEntry,
  type MetaEvent,
  type MetaMutation,
} from './port.ts';
import { WatchHub } from './watch-hub.ts';

/** Meta in the memory of one process, for tests of core and of engines. The same semantics as the durable one, minus the disk. */
export class MemoryMeta implements Meta {
  #revision = 0;
  readonly #rows = new Map<string, MetaEntry>();
  readonly #results = new Map<string, MetaCommitResult>();
  readonly #hub = new WatchHub(0);

  async get(key: string): Promise<MetaEntry | undefined> {
    return this.#rows.get(key);
  }

  async list(options: { prefix: string; after?: string; limit?: number }): ReturnType<Meta['list']> {
    const limit = Math.min(options.limit ?? META_LIMITS.page, META_LIMITS.page);
    const keys = [...this.#rows.keys()]
      .filter((key) => key.startsWith(options.prefix) && (options.after === undefined || key > options.after))
      .sort();
    const entries = keys.slice(0, limit).flatMap((key) => this.#rows.get(key) ?? []);
    return { entries, revision: this.#revision, more: keys.length > limit };
  }

  async commit(mutation: MetaMutation): Promise<MetaCommitResult> {
    checkMutation(mutation);
    const before = this.#results.get(mutation.id);
    if (before !== undefined) return before;
    const result = this.#apply(mutation);
    this.#results.set(mutation.id, result);
    return result;
  }

  async commitEach(mutations: readonly MetaMutation[]): Promise<MetaCommitResult[]> {
    const results: MetaCommitResult[] = [];
    for (const mutation of mutations) results.push(await this.commit(mutation));
    return results;
  }

  watch(options: { prefix: string; from: number; signal: AbortSignal }): AsyncIterable<readonly MetaEvent[]> {
    return this.#hub.watch(options);
  }

  #apply(mutation: MetaMutation): MetaCommitResult {
    for (const guard of mutation.guards ?? []) {
      const revision = this.#rows.get(guard.key)?.revision ?? 0;
      if (revision !== guard.revision) return { ok: false, key: guard.key, revision };
    }
    const revision = ++this.#revision;
    const events: MetaEvent[] = [];
    for (const { key, value } of mutation.puts ?? []) {
      const copy = Uint8Array.from(value);
      this.#rows.set(key, { key, value: copy, revision });
      events.push({ type: 'put', key, value: copy, revision });
    }
    for (const key of mutation.deletes ?? [])
      if (this.#rows.delete(key)) events.push({ type: 'delete', key, revision });
    this.#hub.publish(revision, events);
    return { ok: true, revision };
  }
}
