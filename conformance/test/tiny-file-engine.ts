import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  defineEngine,
  type EngineContext,
  type EngineDefinition,
  type FileHandle,
  forEachBatch,
  headerDigest,
  isStorageError,
  nextOffset,
  type SegmentOffsets,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';

/** What a tiny engine does wrong, if anything. */
export interface Flaws {
  /** A failed sync is tried again, and believed. */
  readonly retriesSync?: boolean;
  /** A write that failed is called certainly not applied. */
  readonly failedMeansNone?: boolean;
  /** After a full disk it goes on at the end of the file. */
  readonly goesOnBehindTheHalf?: boolean;
  /** A temporary file that is still there is somebody else's. */
  readonly trustsNoTemporaryFile?: boolean;
  readonly swallowsWriteErrors?: boolean;
  /** Nobody is told of an append that failed. */
  readonly hangs?: boolean;
  /** What has been written counts, whatever is still on its way in front of it. */
  readonly commitsByArrival?: boolean;
  readonly syncsLater?: boolean;
  /** A file that can not be opened or read is one that is not there, or ends there. */
  readonly takesAFailedReadForTheEnd?: boolean;
  /** One failed segment takes the others with it. */
  readonly failsTogether?: boolean;
  /** A second promise for each append, which nobody hears. */
  readonly floats?: boolean;
}

/** The smallest engine whose I/O all goes through `ctx.fs`: a file of frames per segment, and a file that says where it is sealed. */
export function tinyFileEngine(flaws: Flaws = {}): EngineDefinition {
  return defineEngine({
    name: 'tiny',
    apiVersion: 0.1,
    version: '0.0.0',
    configSchema: { type: 'object', additionalProperties: false, properties: {} },
    capabilities: { durability: 'fsync', placement: 'node', append: true, maxBatchBytes: 1024 * 1024 },
    open: async (ctx) => new TinyEngine(ctx, flaws, await ctx.lock(ctx.dir)),
  });
}

interface Sealed {
  readonly end: number;
  readonly epoch: number;
  /** Of an ingest, whose data lies in a file that nothing but this names. */
  readonly uid?: string;
}

class TinyEngine implements StorageEngine {
  readonly incarnation = 'tiny';
  readonly ctx: EngineContext;
  readonly flaws: Flaws;
  readonly #lock: { release(): Promise<void> };
  readonly writers = new Map<string, TinyWriter>();
  #closed = false;
  failed = false;

  constructor(ctx: EngineContext, flaws: Flaws, lock: { release(): Promise<void> }) {
    this.ctx = ctx;
    this.flaws = flaws;
    this.#lock = lock;
  }

  async create(id: string, { base, state }: { base: number; state: Uint8Array }): Promise<SegmentWriter> {
    const { fs } = this.ctx;
    const file = await fs.open(this.path(id, 'log'), 'wx+');
    const writer = new TinyWriter(this, id, file, base, state);
    try {
      await writer.begin();
      await fs.syncDirectory(this.ctx.dir);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.writers.set(id, writer);
    return writer;
  }

  async recover(id: string, { epoch }: { epoch: number }): Promise<{ end: number }> {
    const writer = this.writers.get(id);
    if (writer !== undefined) await writer.fence();
    const sealed = await this.sealed(id);
    if (sealed !== undefined && sealed.epoch > epoch) throw new StorageError('FENCED', 'fenced', { outcome: 'none' });
    const end = sealed?.end ?? (await this.load(id)).end;
    if (sealed?.epoch !== epoch) await this.seal(id, { ...sealed, end, epoch });
    return { end };
  }

  async ingest(
    id: string,
    options: { base: number; end: number; epoch: number; state: Uint8Array; uid: string },
    batches: AsyncIterable<Uint8Array>,
  ): Promise<{ bytes: number; crc: number }> {
    const { fs, dir } = this.ctx;
    const { base, end, epoch, state, uid } = options;
    const before = await this.sealed(id);
    if (before?.uid !== undefined && before.uid !== uid) throw new StorageError('SEGMENT_EXISTS', 'there is another');
    const pieces: Uint8Array[] = [];
    for await (const piece of batches) pieces.push(Buffer.from(piece));
    const all = Buffer.concat(pieces);
    const bytes = Buffer.concat([frame(head(base, state)), frame(all)]);
    const temporary = this.path(id, 'in.tmp');
    const file = await fs.open(temporary, this.flaws.trustsNoTemporaryFile === true ? 'wx+' : 'w+');
    try {
      await file.write(bytes, 0);
      await file.datasync();
    } finally {
      await file.close();
    }
    await fs.rename(temporary, this.path(id, 'in'));
    await fs.syncDirectory(dir);
    await this.seal(id, { end, epoch, uid });
    let crc = 0;
    forEachBatch(all, (header, from) => {
      crc = headerDigest(crc, all.subarray(from, from + header.bytes));
    });
    return { bytes: all.length, crc };
  }

  async openReader(id: string): Promise<SegmentReader> {
    const sealed = await this.sealed(id);
    if (sealed === undefined) {
      await this.load(id);
      throw new StorageError('SEGMENT_NOT_SEALED', 'it is open');
    }
    const { state, base, batches } = await this.load(id, sealed);
    return new TinyReader(() => ({ base, committed: sealed.end, end: sealed.end, sealed: true }), state, batches);
  }

  async delete(id: string): Promise<void> {
    await this.writers.get(id)?.fence();
    for (const kind of ['seal', 'in', 'log'])
      await this.ctx.fs.unlink(this.path(id, kind)).catch((error: { code?: string }) => {
        if (error.code !== 'ENOENT') throw error;
      });
    await this.ctx.fs.syncDirectory(this.ctx.dir);
  }

  async list({ prefix, after = '', limit }: { prefix: string; after?: string; limit: number }): Promise<string[]> {
    const names = (await this.ctx.fs.readdir(this.ctx.dir)).filter((name) => /\.(log|seal)$/.test(name));
    const ids = new Set(names.map((name) => name.replace(/\.(log|seal)$/, '')));
    const there: string[] = [];
    for (const id of [...ids].filter((one) => one.startsWith(prefix) && one > after).sort()) {
      const found = await this.load(id, await this.sealed(id)).catch((error: unknown) => {
        if (!isStorageError(error, 'SEGMENT_UNKNOWN')) throw error;
      });
      if (found !== undefined && there.length < limit) there.push(id);
    }
    return there;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const writer of this.writers.values()) await writer.fence();
    await this.#lock.release();
  }

  path(id: string, kind: string): string {
    return join(this.ctx.dir, `${id}.${kind}`);
  }

  async seal(id: string, sealed: Sealed): Promise<void> {
    const { fs, dir } = this.ctx;
    const temporary = this.path(id, 'seal.tmp');
    const file = await fs.open(temporary, 'w+');
    try {
      const bytes = frame(Buffer.from(JSON.stringify(sealed)));
      await file.truncate(bytes.length);
      await file.write(bytes, 0);
      await file.datasync();
    } finally {
      await file.close();
    }
    await fs.rename(temporary, this.path(id, 'seal'));
    await fs.syncDirectory(dir);
  }

  async sealed(id: string): Promise<Sealed | undefined> {
    const [first] = await this.frames(id, 'seal');
    return first === undefined ? undefined : JSON.parse(first.toString());
  }

  /** The segment up to the first frame that is not whole. */
  async load(id: string, sealed?: Sealed): Promise<{ base: number; end: number; state: Uint8Array; batches: Batch[] }> {
    const [first, ...rest] = await this.frames(id, sealed?.uid === undefined ? 'log' : 'in');
    if (first === undefined) throw new StorageError('SEGMENT_UNKNOWN', 'no such segment', { where: id });
    const { base, state } = JSON.parse(first.toString());
    const batches = rest.flatMap(split);
    return { base, state: Buffer.from(state, 'base64'), batches, end: batches.at(-1)?.next ?? base };
  }

  async frames(id: string, kind: string): Promise<Buffer[]> {
    let file: FileHandle;
    try {
      file = await this.ctx.fs.open(this.path(id, kind), 'r');
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT' || this.flaws.takesAFailedReadForTheEnd === true) return [];
      throw error;
    }
    try {
      const bytes = Buffer.alloc(await file.size());
      try {
        await file.read(bytes, 0, bytes.length, 0);
      } catch (error) {
        if (this.flaws.takesAFailedReadForTheEnd === true) return [];
        throw error;
      }
      const found: Buffer[] = [];
      for (let at = 0; at + 8 <= bytes.length; ) {
        const body = bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at));
        if (body.length < bytes.readUInt32BE(at) || crc32(body) !== bytes.readUInt32BE(at + 4)) break;
        found.push(body);
        at += 8 + body.length;
      }
      return found;
    } finally {
      await file.close();
    }
  }
}

interface Batch {
  readonly base: number;
  readonly next: number;
  readonly bytes: Uint8Array;
}

class TinyReader implements SegmentReader {
  readonly offsets: () => SegmentOffsets;
  readonly #state: Uint8Array;
  readonly #batches: readonly Batch[];

  constructor(offsets: () => SegmentOffsets, state: Uint8Array, batches: readonly Batch[]) {
    this.offsets = offsets;
    this.#state = state;
    this.#batches = batches;
  }

  async state(): Promise<Uint8Array> {
    return this.#state;
  }

  async read(from: number): Promise<{ bytes: Uint8Array; next: number }> {
    const { committed } = this.offsets();
    const found = this.#batches.find(({ next }) => next > from);
    return found === undefined || found.next > committed
      ? { bytes: new Uint8Array(0), next: committed }
      : { bytes: found.bytes, next: found.next };
  }

  async offsetForTimestamp(): Promise<undefined> {}
  async close(): Promise<void> {}
}

class TinyWriter implements SegmentWriter {
  readonly #engine: TinyEngine;
  readonly #id: string;
  readonly #file: FileHandle;
  readonly #base: number;
  readonly #state: Uint8Array;
  readonly #reader: TinyReader;
  readonly #batches: Batch[] = [];
  #chain: Promise<unknown> = Promise.resolve();
  #position = 0;
  #end: number;
  #committed: number;
  #sealed = false;
  #failed = false;
  #fenced = false;

  constructor(engine: TinyEngine, id: string, file: FileHandle, base: number, state: Uint8Array) {
    this.#engine = engine;
    this.#id = id;
    this.#file = file;
    this.#base = base;
    this.#end = base;
    this.#committed = base;
    this.#state = state;
    this.#reader = new TinyReader(() => this.offsets(), state, this.#batches);
  }

  async begin(): Promise<void> {
    await this.#put(frame(head(this.#base, this.#state)));
  }

  append(batches: readonly Uint8Array[], { base }: { base: number }): Promise<{ next: number }> {
    const bytes = Buffer.concat(batches);
    const made = split(bytes);
    const next = made.at(-1)?.next ?? base;
    if (base !== this.#end) return Promise.reject(new StorageError('OFFSET_MISMATCH', 'not the end'));
    this.#end = next;
    const put = async (): Promise<{ next: number }> => {
      if (this.#fenced) throw new StorageError('FENCED', 'fenced');
      if (this.#failed || this.#engine.failed) throw new StorageError('WRITER_FAILED', 'failed before');
      try {
        await this.#put(frame(bytes));
      } catch (error) {
        await this.#refuse(error, base);
      }
      this.#batches.push(...made);
      this.#committed = next;
      return { next };
    };
    if (this.#engine.flaws.commitsByArrival === true) return put();
    const turn = this.#chain.then(put);
    this.#chain = turn.catch(() => {});
    if (this.#engine.flaws.floats === true) void turn.then(() => {});
    return turn;
  }

  ready(): undefined {}

  async flush(): Promise<void> {
    await this.#chain;
  }

  async seal(): Promise<{ end: number }> {
    await this.#chain;
    if (this.#fenced) throw new StorageError('FENCED', 'fenced');
    await this.#engine.seal(this.#id, { end: this.#end, epoch: 1 });
    this.#sealed = true;
    return { end: this.#end };
  }

  offsets(): SegmentOffsets {
    return { base: this.#base, committed: this.#committed, end: this.#end, sealed: this.#sealed };
  }

  async state(): Promise<Uint8Array> {
    return this.#state;
  }

  read(from: number): Promise<{ bytes: Uint8Array; next: number }> {
    return this.#reader.read(from);
  }

  async offsetForTimestamp(): Promise<undefined> {}

  async close(): Promise<void> {
    await this.fence();
  }

  async fence(): Promise<void> {
    if (this.#fenced) return;
    await this.#chain;
    this.#fenced = true;
    await this.#file.close();
  }

  async #put(bytes: Uint8Array): Promise<void> {
    const { syncsLater, retriesSync, swallowsWriteErrors } = this.#engine.flaws;
    const at = this.#position;
    this.#position += bytes.length;
    try {
      await this.#file.write(bytes, at);
    } catch (error) {
      if (swallowsWriteErrors !== true) throw error;
    }
    const sync = this.#file.datasync();
    if (syncsLater === true) sync.catch(() => {});
    else await (retriesSync === true ? sync.catch(() => this.#file.datasync()) : sync);
  }

  async #refuse(error: unknown, base: number): Promise<never> {
    const { flaws } = this.#engine;
    const full = (error as { code?: string }).code === 'ENOSPC';
    if (flaws.hangs === true) await new Promise(() => {});
    if (flaws.goesOnBehindTheHalf === true && full) {
      this.#position = await this.#file.size();
      this.#end = base;
      throw new StorageError('DISK_FULL', 'no room', { cause: error });
    }
    this.#failed = true;
    if (flaws.failsTogether === true) this.#engine.failed = true;
    throw new StorageError('IO_ERROR', 'the write failed', {
      cause: error,
      outcome: flaws.failedMeansNone === true ? 'none' : 'unknown',
    });
  }
}

function head(base: number, state: Uint8Array): Uint8Array {
  return Buffer.from(JSON.stringify({ base, state: Buffer.from(state).toString('base64') }));
}

function frame(body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeUInt32BE(body.length, 0);
  bytes.writeUInt32BE(crc32(body), 4);
  bytes.set(body, 8);
  return bytes;
}

function split(bytes: Uint8Array): Batch[] {
  const batches: Batch[] = [];
  forEachBatch(bytes, (header, from) => {
    const own = Buffer.from(bytes.subarray(from, from + header.bytes));
    batches.push({ base: header.baseOffset, next: nextOffset(header), bytes: own });
  });
  return batches;
}
