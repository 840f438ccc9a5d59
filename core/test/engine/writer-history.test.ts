import { isStorageError, type SegmentWriter, StorageError } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import { describe, expect, it } from 'vitest';
import { batch, guarded, openWriter, TestMetrics, tick } from './scripted-engine.ts';

const RUNS = 60;
const STEPS = 60;

describe('a guarded writer over an honest engine that settles in any order', () => {
  for (const kind of ['healthy', 'refusing', 'failing'] as const)
    it(`keeps its promises, whatever comes between (${kind})`, async () => {
      for (let seed = 1; seed <= RUNS; seed++) await new History(kind, seed).run();
    });
});

interface Asked {
  readonly base: number;
  readonly next: number;
  /** What the engine did. */
  applied: boolean;
  aborted: boolean;
  settled: 'applied' | 'none' | 'unknown' | undefined;
}

/** One random run. The engine decides in the order of the calls, and tells in any order. */
class History {
  readonly #kind: 'healthy' | 'refusing' | 'failing';
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #metrics = new TestMetrics();
  readonly #guarded = guarded({ metrics: this.#metrics });
  /** Decided, and not told yet. */
  readonly #untold: (() => void)[] = [];
  readonly #asked: Asked[] = [];
  readonly #order: number[] = [];
  #engineEnd = 0;
  #engineFailed = false;
  #flushes = 0;
  /** Flushes that ended before what they were to wait for. */
  #early = 0;

  constructor(kind: 'healthy' | 'refusing' | 'failing', seed: number) {
    this.#kind = kind;
    this.#seed = seed;
    this.#random = new SeededRandom(seed);
  }

  async run(): Promise<void> {
    const { engine, inner, clock } = this.#guarded;
    inner.answers = { append: (given: Uint8Array[], options: { base: number }) => this.#decide(given.length, options) };
    const writer = await openWriter(engine);
    for (let step = 0; step < STEPS; step++) {
      const chance = this.#random.next();
      if (chance < 0.55) this.#append(writer);
      else if (chance < 0.85) this.#untold.splice(Math.floor(this.#random.next() * this.#untold.length), 1)[0]?.();
      else if (chance < 0.9) this.#flush(writer);
      else await tick();
    }
    while (this.#untold.length > 0) this.#untold.shift()?.();
    await tick();
    await clock.advance(1000);
    this.#judge();
    await writer.close();
    expect(this.#metrics.inFlightBytes, this.#name).toBe(0);
    expect(clock.pending, this.#name).toBe(0);
  }

  get #name(): string {
    return `${this.#kind}, seed ${this.#seed}`;
  }

  #decide(batches: number, { base }: { readonly base: number }): Promise<{ next: number }> {
    const asked = this.#asked.at(-1); // appends are handed on within their call
    const error = this.#verdict(base);
    if (error === undefined && asked !== undefined) {
      asked.applied = true;
      this.#engineEnd = base + batches;
    }
    return new Promise((resolve, reject) => {
      this.#untold.push(() => (error === undefined ? resolve({ next: base + batches }) : reject(error)));
    });
  }

  #verdict(base: number): Error | undefined {
    if (this.#engineFailed) return new StorageError('WRITER_FAILED', 'failed before');
    if (base !== this.#engineEnd) return new StorageError('OFFSET_MISMATCH', `${this.#engineEnd} is next`);
    if (this.#kind === 'refusing' && this.#random.next() < 0.3) return new StorageError('DISK_FULL', 'no room');
    if (this.#kind !== 'failing' || this.#random.next() > 0.08) return undefined;
    this.#engineFailed = true;
    return new StorageError('IO_ERROR', 'torn');
  }

  #append(writer: SegmentWriter): void {
    const batches = 1 + Math.floor(this.#random.next() * 3);
    // what the caller believes to be next: the end of the last one it sent that was not refused
    const base = this.#asked.findLast(({ settled }) => settled !== 'none')?.next ?? 0;
    const index = this.#asked.length;
    const asked: Asked = { base, next: base + batches, applied: false, aborted: false, settled: undefined };
    this.#asked.push(asked);
    const abort = new AbortController();
    const given = Array.from({ length: batches }, (_, i) => batch(base + i));
    const append = writer.append(given, this.#random.next() < 0.5 ? { base } : { base, signal: abort.signal });
    append.then(
      ({ next }) => {
        expect(next, this.#name).toBe(asked.next);
        asked.settled = 'applied';
        this.#order.push(index);
      },
      (error: unknown) => {
        asked.settled = isStorageError(error) ? error.outcome : undefined;
        asked.aborted = isStorageError(error, 'ABORTED');
        if (!asked.aborted) this.#order.push(index);
      },
    );
    if (this.#random.next() < 0.1) abort.abort();
  }

  #flush(writer: SegmentWriter): void {
    const soFar = this.#asked.length;
    this.#flushes++;
    const flushed = (): void => {
      this.#flushes--;
      if (this.#asked.slice(0, soFar).some(({ settled }) => settled === undefined)) this.#early++;
    };
    writer.flush().then(flushed, flushed);
  }

  #judge(): void {
    expect({ pending: this.#flushes, early: this.#early }, this.#name).toEqual({ pending: 0, early: 0 });
    const dispatched = this.#asked;
    for (const asked of dispatched) {
      expect(asked.settled, this.#name).toBeDefined();
      if (asked.settled === 'applied') expect(asked.applied, this.#name).toBe(true);
      if (asked.settled === 'none') expect(asked.applied, this.#name).toBe(false);
      if (this.#kind === 'healthy' && !asked.aborted) expect(asked.settled, this.#name).toBe('applied');
    }
    // a refusal before dispatch is told at once; all others in the order of the calls
    const inTurn = this.#order.filter((index) => dispatched[index]?.settled !== 'none');
    expect(inTurn, this.#name).toEqual([...inTurn].sort((a, b) => a - b));
    // nothing acknowledged is missing, and nothing twice
    const applied = dispatched.filter((asked) => asked.applied);
    expect(
      applied.map(({ base }) => base),
      this.#name,
    ).toEqual([0, ...applied.map(({ next }) => next)].slice(0, applied.length));
  }
}
