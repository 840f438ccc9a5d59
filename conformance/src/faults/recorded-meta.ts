import type { Meta, MetaCommitResult, MetaEntry, MetaEvent, MetaMutation } from '@robustmq/core';
import { MemoryMeta, type RecordedLog } from '@robustmq/core/testing';

/** A Meta that can be had again as it was at any point of the recording. */
export class RecordedMeta implements Meta {
  readonly #meta = new MemoryMeta();
  readonly #log: RecordedLog;
  readonly #mutations: MetaMutation[] = [];

  constructor(log: RecordedLog) {
    this.#log = log;
  }

  get(key: string): Promise<MetaEntry | undefined> {
    return this.#meta.get(key);
  }

  list(options: Parameters<Meta['list']>[0]): ReturnType<Meta['list']> {
    return this.#meta.list(options);
  }

  async commit(mutation: MetaMutation): Promise<MetaCommitResult> {
    const committing = this.#meta.commit(mutation);
    this.#log.mark({ meta: this.#mutations.push(mutation) });
    return await committing;
  }

  async commitEach(mutations: readonly MetaMutation[]): Promise<MetaCommitResult[]> {
    const results: MetaCommitResult[] = [];
    for (const mutation of mutations) results.push(await this.commit(mutation));
    return results;
  }

  watch(options: Parameters<Meta['watch']>[0]): AsyncIterable<readonly MetaEvent[]> {
    return this.#meta.watch(options);
  }

  /** How many commits there were. */
  get commits(): number {
    return this.#mutations.length;
  }

  /** After the first `count` commits. */
  after(count: number): Promise<Meta> {
    return this.#replay(count, new MemoryMeta());
  }

  /** After the first `count` commits, for another recording to go on with. */
  goingOn(count: number, log: RecordedLog): Promise<RecordedMeta> {
    return this.#replay(count, new RecordedMeta(log));
  }

  async #replay<M extends Meta>(count: number, into: M): Promise<M> {
    for (const mutation of this.#mutations.slice(0, count)) await into.commit(mutation);
    return into;
  }
}

export interface MetaMark {
  /** How many commits there were. */
  readonly meta: number;
}
