import { type Meta, type MetaCommitResult, type MetaMutation, StorageError } from '@robustmq/core';
import type { ObjectStore } from './object-store.ts';

const TRIES = 20;
/** Of one round trip to Meta: the port limits a mutation, and says nothing of how many go together. */
const TOGETHER = 50;

/** One process's way to the store and to Meta: asks again until it knows, and is cut when the process crashes. */
export class Line {
  readonly #store: ObjectStore;
  readonly #meta: Meta;
  #cut = false;

  constructor(store: ObjectStore, meta: Meta) {
    this.#store = store;
    this.#meta = meta;
  }

  cut(): void {
    this.#cut = true;
  }

  /** The key is nobody else's, so whatever lies there after a lost reply is what was put. */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#again(`put ${key}`, () => this.#store.putNew(key, bytes));
  }

  async get(key: string, at: number, bytes: number): Promise<Uint8Array> {
    const found = await this.#again(`get ${key}`, () => this.#store.get(key, at, bytes));
    if (found !== undefined && found.length === bytes) return found;
    throw new StorageError('CORRUPT', `Object ${key} should hold ${bytes} bytes at ${at}`);
  }

  list(prefix: string): Promise<string[]> {
    return this.#again('list', () => this.#store.list(prefix));
  }

  async delete(key: string): Promise<void> {
    await this.#again(`delete ${key}`, () => this.#store.delete(key));
  }

  row(key: string): ReturnType<Meta['get']> {
    return this.#again(`read ${key}`, () => this.#store.weather.pass(() => this.#meta.get(key)));
  }

  async rows(prefix: string, from?: string): Promise<{ readonly key: string; readonly value: Uint8Array }[]> {
    const found: { key: string; value: Uint8Array }[] = [];
    for (let after = from; ; after = found.at(-1)?.key) {
      const asked = { prefix, ...(after === undefined ? {} : { after }) };
      const page = await this.#again(`list ${prefix}`, () => this.#store.weather.pass(() => this.#meta.list(asked)));
      found.push(...page.entries);
      if (!page.more) return found;
    }
  }

  /** The same id each time: a lost reply is asked for again and never taken for a refusal. */
  commit(mutation: MetaMutation): Promise<MetaCommitResult> {
    return this.#again('commit', () => this.#store.weather.pass(() => this.#live(() => this.#meta.commit(mutation))));
  }

  async commitEach(mutations: readonly MetaMutation[]): Promise<MetaCommitResult[]> {
    const results: MetaCommitResult[] = [];
    for (let at = 0; at < mutations.length; at += TOGETHER) {
      const some = mutations.slice(at, at + TOGETHER);
      const each = () => this.#store.weather.pass(() => this.#live(() => this.#meta.commitEach(some)));
      results.push(...(await this.#again('commit pointers', each)));
    }
    return results;
  }

  async #again<T>(what: string, call: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#live(call);
      } catch (error) {
        if (!this.#cut && tries < TRIES) continue;
        throw new StorageError('IO_ERROR', `Could not ${what}`, { cause: error, retryable: true });
      }
    }
  }

  async #live<T>(call: () => Promise<T>): Promise<T> {
    if (this.#cut) throw new Error('this process has crashed');
    return await call();
  }
}
