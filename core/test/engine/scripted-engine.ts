import { crc32c } from '@node-rs/crc32';
import {
  BATCH_HEADER_BYTES,
  type Counter,
  CRC_FROM,
  type GuardOptions,
  guardEngine,
  type Histogram,
  type Metrics,
  patchOffsetAndEpoch,
  type SegmentOffsets,
  type SegmentWriter,
  type StorageEngine,
  unreadMetrics,
} from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';

/** A batch of `records` records whose bytes nobody decodes. */
export function batch(base: number, records = 1, size = 100, maxTimestamp = 1000): Uint8Array {
  const bytes = new Uint8Array(Math.max(size, BATCH_HEADER_BYTES));
  const view = new DataView(bytes.buffer);
  view.setInt32(8, bytes.length - 12);
  view.setInt8(16, 2);
  view.setInt32(23, records - 1);
  view.setBigInt64(27, BigInt(maxTimestamp));
  view.setBigInt64(35, BigInt(maxTimestamp));
  view.setBigInt64(43, -1n);
  view.setInt16(51, -1);
  view.setInt32(53, -1);
  view.setInt32(57, records);
  for (let i = BATCH_HEADER_BYTES; i < bytes.length; i++) bytes[i] = base + i;
  view.setUint32(17, crc32c(bytes.subarray(CRC_FROM)) >>> 0);
  patchOffsetAndEpoch(bytes, base, 0);
  return bytes;
}

export interface PendingAppend {
  readonly base: number;
  readonly batches: readonly Uint8Array[];
  succeed(next?: number): void;
  fail(error: unknown): void;
}

/** An engine that does nothing but what the test tells it to. */
export class ScriptedEngine implements StorageEngine {
  incarnation = 'scripted-1';
  readonly appends: PendingAppend[] = [];
  position: SegmentOffsets = { base: 0, committed: 0, end: 0, sealed: false };
  stored: { bytes: Uint8Array; next: number } = { bytes: new Uint8Array(0), next: 0 };
  credit: Promise<void> | undefined = undefined;
  sealedAt: number | Error = 0;
  listed: unknown = [];
  closes = 0;
  calls: string[] = [];
  /** What a test puts here answers in place of the method of that name, of the engine, of a writer or of a reader. */
  answers: Readonly<Record<string, (...given: never[]) => unknown>> = {};

  async create(_id: string, options: { base: number }): Promise<SegmentWriter> {
    this.position = { base: options.base, committed: options.base, end: options.base, sealed: false };
    return this.#writer();
  }
  async recover(): Promise<{ end: number }> {
    return { end: this.position.end };
  }
  async ingest(): Promise<{ bytes: number; crc: number }> {
    return { bytes: 0, crc: 0 };
  }
  async openReader(): Promise<SegmentWriter> {
    return this.#writer();
  }
  async delete(): Promise<void> {
    throw new Error('a foreign one');
  }
  async list(): Promise<string[]> {
    return this.listed as string[]; // the guard must not trust it
  }
  async close(): Promise<void> {
    this.closes++;
  }

  #writer(): SegmentWriter {
    const writer: SegmentWriter = {
      offsets: () => this.position,
      state: async () => new Uint8Array(0),
      read: async () => this.stored,
      offsetForTimestamp: async () => undefined,
      close: async () => void this.calls.push('close'),
      append: (batches, { base }) =>
        new Promise((resolve, reject) => {
          const last = batches.at(-1) ?? new Uint8Array(61);
          const next = Number(new DataView(last.buffer).getBigInt64(0)) + new DataView(last.buffer).getInt32(23) + 1;
          this.appends.push({
            base,
            batches,
            succeed: (said = next) => {
              this.position = { ...this.position, committed: said, end: said };
              resolve({ next: said });
            },
            fail: reject,
          });
        }),
      ready: () => this.credit,
      flush: async () => void this.calls.push('flush'),
      seal: async () => {
        this.calls.push('seal');
        if (this.sealedAt instanceof Error) throw this.sealedAt;
        return { end: this.sealedAt };
      },
    };
    return answering(writer, this);
  }
}

function answering<T extends object>(target: T, script: Pick<ScriptedEngine, 'answers'>): T {
  return new Proxy(target, {
    get: (_, name) => {
      const scripted = script.answers[String(name)];
      if (scripted !== undefined) return scripted;
      const own: unknown = Reflect.get(target, name, target);
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
}

/** Metrics that a test can look at. */
export class TestMetrics implements Metrics {
  readonly counters = new Map<string, Counter>();
  readonly gauges = new Map<string, () => number>();
  readonly observed = new Map<string, number[]>();

  counter(name: string, _help: string, labels: Readonly<Record<string, string>> = {}): Counter {
    const counter = { value: 0 };
    this.counters.set(labels.code === undefined ? name : `${name} ${labels.code}`, counter);
    return counter;
  }
  gauge(name: string, _help: string, read: () => number): void {
    this.gauges.set(name, read);
  }
  histogram(name: string): Histogram {
    const observed: number[] = [];
    this.observed.set(name, observed);
    return { observe: (value) => void observed.push(value) };
  }
  get inFlightBytes(): number | undefined {
    return this.gauges.get('robust_engine_in_flight_bytes')?.();
  }
  get openWriters(): number | undefined {
    return this.gauges.get('robust_engine_open_writers')?.();
  }
}

/** What a promise came to: the value, or the error. */
export async function outcome(promise: Promise<unknown> | undefined): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}

/** Lets everything that can settle by itself settle. */
export async function tick(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

export function guarded(options: Partial<GuardOptions> = {}): {
  inner: ScriptedEngine;
  engine: StorageEngine;
  clock: VirtualClock;
} {
  const inner = new ScriptedEngine();
  const clock = new VirtualClock();
  const engine = guardEngine(
    answering<StorageEngine>(inner, inner),
    {
      name: 'scripted',
      capabilities: { durability: 'none', placement: 'node', append: true, maxBatchBytes: 1024 * 1024 },
    },
    { instance: 'hot', clock, metrics: unreadMetrics, ...options },
  );
  return { inner, engine, clock };
}

export async function openWriter(engine: StorageEngine, base = 0): Promise<SegmentWriter> {
  return await engine.create('s-1', { base, epoch: 1, config: {}, state: new Uint8Array(0) });
}
