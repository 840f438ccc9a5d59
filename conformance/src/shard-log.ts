import type { Log, ShardHarness } from './check.ts';

/** A shard as the checks of both kinds see it. */
export class ShardLog implements Log {
  readonly #harness: ShardHarness;

  constructor(harness: ShardHarness) {
    this.#harness = harness;
  }

  get canCrash(): boolean {
    return this.#harness.canCrash;
  }

  append(
    batches: readonly Uint8Array[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly base: number; readonly next: number }> {
    return this.#harness.shard.append(batches, options);
  }

  ready(bytes: number): Promise<void> | undefined {
    return this.#harness.shard.ready(bytes);
  }

  async read(from: number, maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly next: number }> {
    const { chunks, next } = await this.#harness.shard.read(from, { maxBytes });
    return { bytes: Buffer.concat(chunks), next };
  }

  async offsets(): Promise<{ readonly start: number; readonly committed: number }> {
    const { logStart, committed } = await this.#harness.shard.offsets();
    return { start: logStart, committed };
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return (await this.#harness.shard.offsetForTimestamp(timestamp))?.offset;
  }

  reopen(options: { readonly crash: boolean }): Promise<void> {
    return this.#harness.reopen(options);
  }
}
