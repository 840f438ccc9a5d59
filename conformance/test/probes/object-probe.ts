/**
 * A probe of the contract: many segments in objects of a store that is slow, reorders and loses replies. Appends of all segments share one
 * object; several are uploaded at once and arrive in any order. Data first, pointer second: what an object holds of each segment is a row
 * in Meta, guarded by the segment's head row, all rows of an object in one `commitEach`, objects in order. Whoever rewrites the head
 * (recovery, seal, deletion) makes every later pointer of the former writer fail.
 */
import {
  type CreateOptions,
  defineEngine,
  ENGINE_API_VERSION,
  type EngineContext,
  type EngineDefinition,
  forEachBatch,
  headerDigest,
  type IngestOptions,
  type IngestResult,
  type MetaMutation,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import { mediumName } from './medium-name.ts';
import { Line } from './object-line.ts';
import { type Head, ObjectReader, ObjectWriter, type Pointer } from './object-segment.ts';
import { ObjectStore } from './object-store.ts';
import { spanOf } from './stored-batches.ts';

const MAX_BATCH_BYTES = 1024 * 1024;
const OBJECT_BYTES = 4 * MAX_BATCH_BYTES;
const UPLOADS = 4;

/** By name: what survives a process. */
export const objectMedia: Map<string, Medium> = new Map();

interface Medium {
  readonly store: ObjectStore;
  /** By directory, one a node. */
  readonly lines: Map<string, Line>;
  lives: number;
}

export const objectProbe: EngineDefinition = defineEngine({
  name: 'object-probe',
  apiVersion: ENGINE_API_VERSION,
  version: '0.0.0',
  configSchema: { type: 'object', additionalProperties: false, properties: {} },
  capabilities: { durability: 'object-store', placement: 'cluster', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: async (ctx) => {
    const incarnation = await mediumName(ctx);
    const medium = objectMedia.get(incarnation) ?? {
      store: new ObjectStore(objectMedia.size, ctx.dir),
      lines: new Map(),
      lives: 0,
    };
    objectMedia.set(incarnation, medium);
    // whoever was on this node before has crashed, or has closed
    medium.lines.get(ctx.dir)?.cut();
    const line = new Line(medium.store, ctx.meta);
    medium.lines.set(ctx.dir, line);
    medium.lives++;
    return new ObjectEngine(ctx, line, incarnation, medium.lives);
  },
});

/** A share of an append that waits for its object, and for its pointer. */
interface Waiting {
  readonly writer: ObjectWriter;
  readonly run: Uint8Array;
  settle(error?: StorageError): void;
}

class ObjectEngine implements StorageEngine {
  readonly incarnation: string;
  readonly #ctx: EngineContext;
  readonly #line: Line;
  readonly #life: number;
  readonly #writers = new Map<string, ObjectWriter>();
  #waiting: Waiting[] = [];
  #uploads = 0;
  #objects = 0;
  #scheduled = false;
  /** Pointers are committed in the order of the objects. */
  #committing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(ctx: EngineContext, line: Line, incarnation: string, life: number) {
    this.#ctx = ctx;
    this.#line = line;
    this.incarnation = incarnation;
    this.#life = life;
  }

  async create(id: string, { base, epoch, state }: CreateOptions): Promise<SegmentWriter> {
    const head: Head = { uid: this.#uuid(), base, epoch, end: undefined, state: await this.#putState(state) };
    const result = await this.#line.commit(this.#headPut(id, head, 0));
    if (!result.ok) throw new StorageError('SEGMENT_EXISTS', 'There is such a segment', { where: id });
    const append = (writer: ObjectWriter, run: Uint8Array) => this.#append(writer, run);
    const seal = (writer: ObjectWriter) => this.#seal(writer);
    const writer = new ObjectWriter(id, head, result.revision, this.#line, { append, seal });
    this.#writers.set(id, writer);
    return writer;
  }

  async recover(id: string, { epoch }: { readonly epoch: number }): Promise<{ readonly end: number }> {
    for (;;) {
      const { head, revision } = await this.#head(id);
      if (epoch < head.epoch)
        throw new StorageError('FENCED', `Epoch ${head.epoch} has the segment`, { where: id, outcome: 'none' });
      // from this commit on no pointer of the former writer gets through
      const fence = await this.#line.commit(this.#headPut(id, { ...head, epoch }, revision));
      if (!fence.ok) continue;
      this.#writers.get(id)?.fail(new StorageError('FENCED', `Epoch ${epoch} took the segment over`, { where: id }));
      if (head.end !== undefined) return { end: head.end };
      const end = (await this.#pointers(head)).at(-1)?.next ?? head.base;
      const sealed = await this.#line.commit(this.#headPut(id, { ...head, epoch, end }, fence.revision));
      if (sealed.ok) return { end };
    }
  }

  async ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    const { base, end, epoch, uid: attempt } = options;
    const before = await this.#ingested(id, attempt);
    if (before !== undefined) return before;
    const uid = this.#uuid();
    let [bytes, crc, parts] = [0, 0, 0];
    let part: Uint8Array[] = [];
    const upload = async (): Promise<void> => {
      const run = Buffer.concat(part);
      part = [];
      if (run.length === 0) return;
      const key = this.#key(`ingest-${uid}-${parts}`);
      await this.#line.put(key, run);
      await this.#line.commit({
        id: this.#uuid(),
        puts: [pointerPut(uid, parts++, { key, at: 0, bytes: run.length, ...spanOf(run) })],
      });
    };
    for await (const chunk of batches) {
      forEachBatch(chunk, (header, at) => {
        crc = headerDigest(crc, chunk.subarray(at, at + header.bytes));
      });
      bytes += chunk.length;
      part.push(chunk.slice());
      if (part.reduce((sum, { length }) => sum + length, 0) >= OBJECT_BYTES) await upload();
    }
    await upload();
    const head: Head = {
      uid,
      base,
      epoch,
      end,
      state: await this.#putState(options.state),
      ingest: { attempt, bytes, crc },
    };
    const result = await this.#line.commit(this.#headPut(id, head, 0));
    // what another attempt was faster than is swept
    return result.ok ? { bytes, crc } : ((await this.#ingested(id, attempt)) ?? { bytes, crc });
  }

  async openReader(id: string): Promise<SegmentReader> {
    const { head } = await this.#head(id);
    if (head.end === undefined)
      throw new StorageError('SEGMENT_NOT_SEALED', 'An open segment is read through its writer', { where: id });
    return new ObjectReader(head, await this.#pointers(head), this.#line);
  }

  async delete(id: string): Promise<void> {
    for (let found = await this.#line.row(`s/${id}`); found !== undefined; found = await this.#line.row(`s/${id}`)) {
      const guards = [{ key: `s/${id}`, revision: found.revision }];
      const result = await this.#line.commit({ id: this.#uuid(), guards, deletes: [`s/${id}`] });
      if (!result.ok) continue;
      this.#writers.get(id)?.fail(new StorageError('FENCED', 'The segment has been deleted', { where: id }));
      this.#writers.delete(id);
      const { uid } = headOf(found.value);
      const rows = await this.#line.rows(`p/${uid}/`);
      await this.#line.commitEach(rows.map(({ key }) => ({ id: this.#uuid(), deletes: [key] })));
    }
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after, limit } = options;
    const rows = await this.#line.rows(`s/${prefix}`, after === undefined ? undefined : `s/${after}`);
    return rows.slice(0, limit).map(({ key }) => key.slice(2));
  }

  /** Sweeps objects of former lives that no pointer leads to. */
  async maintain({
    requestBudget,
    signal,
  }: {
    readonly requestBudget: number;
    readonly signal: AbortSignal;
  }): Promise<void> {
    if (requestBudget < 2) return;
    const heads = (await this.#line.rows('s/')).map(({ value }) => headOf(value));
    const pointers = (await Promise.all(heads.map((head) => this.#pointers(head)))).flat();
    const used = new Set([...pointers, ...heads.map(({ state }) => state)].map(({ key }) => key));
    let left = requestBudget - 1;
    for (const key of await this.#line.list('')) {
      if (used.has(key) || Number.parseInt(key, 10) >= this.#life) continue;
      if (left-- <= 0 || signal.aborted) return;
      await this.#line.delete(key);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { settle } of this.#waiting.splice(0)) settle(new StorageError('CLOSED', 'The engine is closed'));
    await this.#committing;
    for (const writer of this.#writers.values())
      writer.fail(new StorageError('CLOSED', 'The engine is closed', { outcome: 'unknown' }));
  }

  #append(writer: ObjectWriter, run: Uint8Array): Promise<void> {
    if (this.#closed) throw new StorageError('CLOSED', 'The engine is closed');
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writer, run, settle: (error) => (error === undefined ? resolve() : reject(error)) });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#uploads >= UPLOADS || this.#waiting.length === 0) return;
    this.#scheduled = true;
    // what is appended in this turn goes together
    this.#ctx.clock.timer(0, () => {
      this.#scheduled = false;
      this.#upload();
      this.#schedule();
    });
  }

  /** One object of what waits, grouped by segment. */
  #upload(): void {
    const shares = new Map<ObjectWriter, Waiting[]>();
    for (let bytes = 0, next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      bytes += next.run.length;
      if (bytes > OBJECT_BYTES && shares.size > 0) break;
      shares.set(next.writer, [...(shares.get(next.writer) ?? []), next]);
      this.#waiting.shift();
    }
    if (shares.size === 0) return;
    const key = this.#key(`log-${this.#objects++}`);
    const runs = [...shares.values()].flat().map(({ run }) => run);
    this.#uploads++;
    const stored = this.#line.put(key, Buffer.concat(runs)).finally(() => {
      this.#uploads--;
      this.#schedule();
    });
    stored.catch(() => {});
    this.#committing = this.#committing.then(() => this.#point(key, shares, stored));
  }

  /** Data is there, and so are the pointers of every object before: now those of this one. */
  async #point(
    key: string,
    shares: ReadonlyMap<ObjectWriter, readonly Waiting[]>,
    stored: Promise<void>,
  ): Promise<void> {
    const pointers: { writer: ObjectWriter; waiting: readonly Waiting[]; pointer: Pointer }[] = [];
    try {
      await stored;
      let at = 0;
      for (const [writer, waiting] of shares) {
        const run = Buffer.concat(waiting.map((one) => one.run));
        if (writer.failure === undefined)
          pointers.push({ writer, waiting, pointer: { key, at, bytes: run.length, ...spanOf(run) } });
        at += run.length;
      }
      const results = await this.#line.commitEach(
        pointers.map(({ writer, pointer }) => ({
          id: this.#uuid(),
          guards: [{ key: `s/${writer.id}`, revision: writer.revision }],
          puts: [pointerPut(writer.head.uid, pointer.base, pointer)],
        })),
      );
      for (const [i, { writer, waiting, pointer }] of pointers.entries()) {
        if (results[i]?.ok === true) {
          writer.committed(pointer);
          for (const { settle } of waiting) settle();
        } else writer.fail(new StorageError('FENCED', 'The head of the segment has changed', { where: writer.id }));
      }
    } catch (error) {
      const failure =
        error instanceof StorageError ? error : new StorageError('IO_ERROR', 'No pointer', { cause: error });
      for (const writer of shares.keys()) writer.fail(failure);
    }
    for (const [writer, waiting] of shares)
      if (writer.failure !== undefined) for (const { settle } of waiting) settle(writer.failure);
  }

  async #seal(writer: ObjectWriter): Promise<void> {
    const head = { ...writer.head, end: writer.end };
    const result = await this.#line.commit(this.#headPut(writer.id, head, writer.revision));
    if (!result.ok) throw new StorageError('FENCED', 'The head of the segment has changed', { where: writer.id });
    this.#writers.delete(writer.id);
  }

  async #ingested(id: string, attempt: string): Promise<IngestResult | undefined> {
    const found = await this.#line.row(`s/${id}`);
    if (found === undefined) return undefined;
    const { ingest } = headOf(found.value);
    if (ingest?.attempt !== attempt) throw new StorageError('SEGMENT_EXISTS', 'There is such a segment', { where: id });
    return { bytes: ingest.bytes, crc: ingest.crc };
  }

  async #head(id: string): Promise<{ readonly head: Head; readonly revision: number }> {
    const found = await this.#line.row(`s/${id}`);
    if (found === undefined) throw new StorageError('SEGMENT_UNKNOWN', 'Meta knows of no such segment', { where: id });
    return { head: headOf(found.value), revision: found.revision };
  }

  async #pointers({ uid }: Head): Promise<Pointer[]> {
    return (await this.#line.rows(`p/${uid}/`)).map(({ value }) => JSON.parse(text(value)) as Pointer); // as put below
  }

  async #putState(state: Uint8Array): Promise<Head['state']> {
    const key = this.#key(`state-${this.#uuid()}`);
    if (state.length > 0) await this.#line.put(key, state);
    return { key, bytes: state.length };
  }

  #headPut(id: string, head: Head, revision: number): MetaMutation {
    const key = `s/${id}`;
    return { id: this.#uuid(), guards: [{ key, revision }], puts: [{ key, value: Buffer.from(JSON.stringify(head)) }] };
  }

  /** Nobody else's, in this life or another. */
  #key(name: string): string {
    return `${this.#life}/${name}`;
  }

  #uuid(): string {
    return this.#ctx.random.uuid();
  }
}

function pointerPut(
  uid: string,
  order: number,
  pointer: Pointer,
): { readonly key: string; readonly value: Uint8Array } {
  return { key: `p/${uid}/${String(order).padStart(16, '0')}`, value: Buffer.from(JSON.stringify(pointer)) };
}

function headOf(value: Uint8Array): Head {
  return JSON.parse(text(value)) as Head; // as put above
}

function text(value: Uint8Array): string {
  return Buffer.from(value).toString();
}
