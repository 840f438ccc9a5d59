import { type Meta, StorageError } from '@robustmq/core';

/** Meta as one life of a process reaches it: after a crash nothing gets through any more. */
export class Lifeline implements Meta {
  readonly #meta: Meta;
  #cut = false;

  constructor(meta: Meta) {
    this.#meta = meta;
  }

  cut(): void {
    this.#cut = true;
  }

  get: Meta['get'] = (key) => this.#through(() => this.#meta.get(key));
  list: Meta['list'] = (options) => this.#through(() => this.#meta.list(options));
  commit: Meta['commit'] = (mutation) => this.#through(() => this.#meta.commit(mutation));
  commitEach: Meta['commitEach'] = (mutations) => this.#through(() => this.#meta.commitEach(mutations));
  watch: Meta['watch'] = (options) => this.#untilCut(this.#meta.watch(options));

  async *#untilCut<T>(events: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const event of events) if (!this.#cut) yield event;
  }

  async #through<T>(call: () => Promise<T>): Promise<T> {
    if (this.#cut) throw new StorageError('META_UNAVAILABLE', 'This process has crashed');
    return await call();
  }
}
