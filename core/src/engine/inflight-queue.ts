import type { Inflight } from './inflight.ts';

/** Appends between their call and their settlement, in the order of the calls. Its length is bounded by the credit of the writer. */
export class InflightQueue {
  #entries: Inflight[] = [];
  #head = 0;

  get first(): Inflight | undefined {
    return this.#entries[this.#head];
  }

  get last(): Inflight | undefined {
    return this.#entries.at(-1);
  }

  all(): readonly Inflight[] {
    return this.#entries.slice(this.#head);
  }

  push(entry: Inflight): void {
    this.#entries.push(entry);
  }

  shift(): Inflight | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#head++;
    if (this.#head === this.#entries.length || this.#head >= 1024) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }
}
