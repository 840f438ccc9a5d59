import { checkBatch, nextOffset, type SegmentReader } from '@robustmq/core';
import { at } from './batches.ts';
import type { EngineHarness, Log } from './check.ts';
import { chunks } from './checks/segments.ts';

interface Segment {
  readonly reader: SegmentReader;
  readonly end: number;
}

/** A log over an engine that takes whole segments only: what was appended since the last look is taken in as one by the next. */
export class IngestedLog implements Log {
  readonly #harness: EngineHarness;
  #segments: Segment[] = [];
  #waiting: Uint8Array[] = [];
  #takingIn: Promise<void> = Promise.resolve();
  #next = 0;

  constructor(harness: EngineHarness) {
    this.#harness = harness;
  }

  get canCrash(): boolean {
    return this.#harness.canCrash;
  }

  async append(batches: readonly Uint8Array[]): Promise<{ readonly base: number; readonly next: number }> {
    const base = this.#next;
    for (const bytes of batches) {
      const copy = at(this.#next, Uint8Array.from(bytes));
      this.#next = nextOffset(checkBatch(copy));
      this.#waiting.push(copy);
    }
    return { base, next: this.#next };
  }

  ready(): undefined {
    return undefined;
  }

  async read(from: number, maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly next: number }> {
    await this.#takeIn();
    const { reader } = this.#segments.find(({ end }) => from < end) ?? this.#segments.at(-1) ?? nothing();
    return await reader.read(from, { maxBytes });
  }

  async offsets(): Promise<{ readonly start: number; readonly committed: number }> {
    await this.#takeIn();
    return { start: 0, committed: this.#segments.at(-1)?.end ?? 0 };
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    await this.#takeIn();
    for (const { reader } of this.#segments) {
      const offset = await reader.offsetForTimestamp(timestamp);
      if (offset !== undefined) return offset;
    }
    return undefined;
  }

  async reopen(options: { readonly crash: boolean }): Promise<void> {
    await this.#takeIn();
    await this.#harness.reopen(options);
    const { engine } = this.#harness;
    this.#segments = await Promise.all(
      this.#segments.map(async ({ end }, i) => ({ end, reader: await engine.openReader(idOf(i)) })),
    );
  }

  /** Readers that come at once wait for the same one. */
  #takeIn(): Promise<void> {
    if (this.#waiting.length === 0) return this.#takingIn;
    const [made, end] = [this.#waiting, this.#next];
    this.#waiting = [];
    this.#takingIn = this.#takingIn.then(() => this.#ingest(made, end));
    return this.#takingIn;
  }

  async #ingest(made: readonly Uint8Array[], end: number): Promise<void> {
    const { engine } = this.#harness;
    const id = idOf(this.#segments.length);
    const base = this.#segments.at(-1)?.end ?? 0;
    await engine.ingest(id, { base, end, epoch: 1, state: new Uint8Array(0), uid: id }, chunks(...made));
    // it is the caller's again
    for (const bytes of made) bytes.fill(0xee);
    this.#segments.push({ reader: await engine.openReader(id), end });
  }
}

function idOf(number: number): string {
  return `log-${number}`;
}

function nothing(): never {
  throw new Error('nothing was appended');
}
