import {
  type SegmentOffsets,
  type SegmentRead,
  type SegmentReader,
  type SegmentState,
  type SegmentWriter,
  StorageError,
} from '@robustmq/core';
import { Credit } from './credit.ts';
import type { Line } from './object-line.ts';
import { offsetForTime, readFrom, spanOf } from './stored-batches.ts';

/** What Meta holds of a segment: whoever writes this row fences all who knew it as it was. */
export interface Head {
  readonly uid: string;
  readonly base: number;
  readonly epoch: number;
  /** Undefined while open. */
  readonly end: number | undefined;
  readonly state: { readonly key: string; readonly bytes: number };
  readonly ingest?: { readonly attempt: string; readonly bytes: number; readonly crc: number };
}

/** Where a run of a segment's batches lies. */
export interface Pointer {
  readonly key: string;
  readonly at: number;
  readonly bytes: number;
  readonly base: number;
  readonly next: number;
  readonly maxTimestamp: number;
}

export class ObjectReader implements SegmentReader {
  readonly head: Head;
  protected readonly pointers: Pointer[];
  readonly #line: Line;
  /** Objects never change, so what was read last may be read again. */
  #last: { readonly pointer: Pointer; readonly run: Uint8Array } | undefined;

  constructor(head: Head, pointers: Pointer[], line: Line) {
    this.head = head;
    this.pointers = pointers;
    this.#line = line;
  }

  offsets(): SegmentOffsets {
    const end = this.head.end ?? this.head.base;
    return { base: this.head.base, committed: end, end, sealed: true };
  }

  async state(): Promise<SegmentState> {
    const { key, bytes } = this.head.state;
    return bytes === 0 ? new Uint8Array(0) : await this.#line.get(key, 0, bytes);
  }

  async read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<SegmentRead> {
    const pointer = this.pointers.find(({ next }) => next > from);
    if (pointer === undefined) return { bytes: new Uint8Array(0), next: this.offsets().committed };
    return readFrom(await this.#run(pointer), from, maxBytes);
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    const pointer = this.pointers.find(({ maxTimestamp }) => maxTimestamp >= timestamp);
    if (pointer === undefined) return undefined;
    return offsetForTime(await this.#run(pointer), timestamp);
  }

  async close(): Promise<void> {}

  async #run(pointer: Pointer): Promise<Uint8Array> {
    if (this.#last?.pointer !== pointer)
      this.#last = { pointer, run: await this.#line.get(pointer.key, pointer.at, pointer.bytes) };
    return this.#last.run;
  }
}

interface Engine {
  append(writer: ObjectWriter, run: Uint8Array): Promise<void>;
  seal(writer: ObjectWriter): Promise<void>;
}

export class ObjectWriter extends ObjectReader implements SegmentWriter {
  readonly id: string;
  /** Of the head row: each pointer is committed under this guard. */
  readonly revision: number;
  /** One past what was dispatched. */
  end: number;
  failure: StorageError | undefined;
  readonly #engine: Engine;
  readonly #credit = new Credit(4 * 1024 * 1024);
  readonly #flights = new Set<Promise<void>>();
  #sealed = false;

  constructor(id: string, head: Head, revision: number, line: Line, engine: Engine) {
    super(head, [], line);
    this.id = id;
    this.revision = revision;
    this.end = head.base;
    this.#engine = engine;
  }

  override offsets(): SegmentOffsets {
    const { base } = this.head;
    const committed = this.pointers.at(-1)?.next ?? base;
    // what was dispatched before it failed may be there or not: recovery knows
    return { base, committed, end: this.failure === undefined ? this.end : committed, sealed: this.#sealed };
  }

  async append(
    batches: readonly Uint8Array[],
    { base }: { readonly base: number },
  ): Promise<{ readonly next: number }> {
    if (this.failure !== undefined) throw this.failure;
    if (base !== this.end) throw new StorageError('OFFSET_MISMATCH', `${this.end} is next`, { where: this.id });
    const run = Buffer.concat(batches);
    this.#credit.take(run.length);
    const { next } = spanOf(run);
    this.end = next;
    const flight = this.#engine.append(this, run);
    this.#flights.add(flight);
    try {
      await flight;
    } finally {
      this.#flights.delete(flight);
      this.#credit.give(run.length);
    }
    return { next };
  }

  ready(bytes: number): Promise<void> | undefined {
    return this.failure === undefined ? this.#credit.ready(bytes) : Promise.reject(this.failure);
  }

  async flush(): Promise<void> {
    await Promise.allSettled([...this.#flights]);
  }

  async seal(): Promise<{ readonly end: number }> {
    await this.flush();
    if (this.failure !== undefined) throw this.failure;
    await this.#engine.seal(this);
    this.#sealed = true;
    return { end: this.end };
  }

  /** A pointer is in Meta. */
  committed(pointer: Pointer): void {
    this.pointers.push(pointer);
  }

  fail(error: StorageError): void {
    if (this.#sealed) return;
    this.failure ??= error;
    this.#credit.refuse(error);
  }
}
