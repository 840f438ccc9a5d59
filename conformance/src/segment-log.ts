import { checkBatch, nextOffset, type SegmentReader, type SegmentWriter } from '@robustmq/core';
import { at } from './batches.ts';
import type { EngineHarness, Log } from './check.ts';

/** Just enough of a shard over an engine: gives offsets, and after each reopen recovers the last segment and goes on in a new one. */
export class SegmentLog implements Log {
  readonly #harness: EngineHarness;
  #sealed: { readonly id: string; readonly base: number; readonly end: number }[] = [];
  #readers = new Map<string, SegmentReader>();
  #writer: SegmentWriter;
  #base = 0;
  #next = 0;
  #epoch = 1;

  static async open(harness: EngineHarness): Promise<SegmentLog> {
    return new SegmentLog(harness, await createAt(harness, 0, 1));
  }

  private constructor(harness: EngineHarness, writer: SegmentWriter) {
    this.#harness = harness;
    this.#writer = writer;
  }

  get canCrash(): boolean {
    return this.#harness.canCrash;
  }

  append(
    batches: readonly Uint8Array[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly base: number; readonly next: number }> {
    const base = this.#next;
    let next = base;
    try {
      for (const bytes of batches) next = nextOffset(checkBatch(at(next, bytes)));
    } catch (error) {
      return Promise.reject(error);
    }
    if (options.signal?.aborted !== true) this.#next = next;
    return this.#writer.append(batches, { base, ...options }).then((appended) => ({ base, next: appended.next }));
  }

  ready(bytes: number): Promise<void> | undefined {
    return this.#writer.ready(bytes);
  }

  async read(from: number, maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly next: number }> {
    const sealed = this.#sealed.find(({ base, end }) => from >= base && from < end);
    return await (sealed === undefined ? this.#writer : await this.#reader(sealed.id)).read(from, { maxBytes });
  }

  async offsets(): Promise<{ readonly start: number; readonly committed: number }> {
    return { start: 0, committed: this.#writer.offsets().committed };
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    for (const { id } of this.#sealed) {
      const offset = await (await this.#reader(id)).offsetForTimestamp(timestamp);
      if (offset !== undefined) return offset;
    }
    return await this.#writer.offsetForTimestamp(timestamp);
  }

  async reopen(options: { readonly crash: boolean }): Promise<void> {
    this.#readers.clear();
    await this.#harness.reopen(options);
    const id = idOf(this.#epoch);
    this.#epoch++;
    const { end } = await this.#harness.engine.recover(id, { epoch: this.#epoch });
    this.#sealed.push({ id, base: this.#base, end });
    this.#writer = await createAt(this.#harness, end, this.#epoch);
    this.#base = end;
    this.#next = end;
  }

  async #reader(id: string): Promise<SegmentReader> {
    const reader = this.#readers.get(id) ?? (await this.#harness.engine.openReader(id));
    this.#readers.set(id, reader);
    return reader;
  }
}

function createAt(harness: EngineHarness, base: number, epoch: number): Promise<SegmentWriter> {
  return harness.engine.create(idOf(epoch), { base, epoch, config: {}, state: new Uint8Array(0) });
}

function idOf(epoch: number): string {
  return `log-${epoch}`;
}
