import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CreateOptions,
  defineEngine,
  ENGINE_API_VERSION,
  type EngineContext,
  type EngineDefinition,
  type FileHandle,
  type FileSystem,
  forEachBatch,
  type IngestOptions,
  type IngestResult,
  nextOffset,
  type SegmentId,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import { crc32cSmall } from '@robustmq/core/crc32c';

/** What an engine of one file a segment can get wrong about power cuts and damage, and about nothing else. */
export type Fault =
  | 'acknowledges before it syncs'
  | 'never syncs its directory'
  | 'gives an ingested file its name before it is synced'
  | 'syncs a seal only when it is closed'
  | 'fences without a sync'
  | 'removes a file and never syncs that'
  | 'takes a torn tail for damage'
  | 'cuts the log at the first damage'
  | 'believes lengths without a checksum'
  | 'writes beside the file system it was given';

/** One append-only file a segment: simple, slow, and right unless `fault` is given. */
export function oneFileEngine(fault?: Fault): EngineDefinition {
  return defineEngine<unknown>({
    name: 'one-file',
    apiVersion: ENGINE_API_VERSION,
    version: '0.0.0',
    configSchema: { type: 'object', additionalProperties: false, properties: {} },
    capabilities: { durability: 'fsync', placement: 'node', append: true, maxBatchBytes: 1024 * 1024 },
    open: (ctx) => OneFileEngine.open(ctx, fault),
  });
}

/** Frames: crc, length, kind, then that many bytes. The crc covers all the rest. */
const KIND = { head: 1, append: 2, fence: 3, seal: 4, mark: 5 } as const;
const FRAME_BYTES = 12;

interface Head {
  readonly base: number;
  readonly epoch: number;
  readonly state: string;
  readonly ingested?: { readonly end: number; readonly uid: string; readonly crc: number };
}

function frame(kind: keyof typeof KIND, body: Uint8Array | object = NOTHING): Buffer {
  const payload = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  const bytes = Buffer.alloc(FRAME_BYTES + payload.length);
  bytes.writeUInt32LE(payload.length, 4);
  bytes.writeUInt32LE(KIND[kind], 8);
  bytes.set(payload, FRAME_BYTES);
  bytes.writeUInt32LE(crc32cSmall(bytes, 4, bytes.length), 0);
  return bytes;
}

const NOTHING = new Uint8Array(0);

class OneFileEngine implements StorageEngine {
  readonly incarnation: string;
  readonly #ctx: EngineContext;
  readonly #fault: Fault | undefined;
  readonly #lock: { release(): Promise<void> };
  readonly #writers = new Map<SegmentId, Writer>();

  static async open(ctx: EngineContext, fault: Fault | undefined): Promise<OneFileEngine> {
    const lock = await ctx.lock(ctx.dir);
    const { fs, dir } = ctx;
    for (const name of await fs.readdir(dir)) if (name.endsWith('.tmp')) await fs.unlink(join(dir, name));
    const path = join(dir, 'instance');
    let incarnation = (await readWhole(fs, path))?.toString();
    if (incarnation === undefined) {
      incarnation = ctx.random.uuid();
      await writeWhole(fs, path, Buffer.from(incarnation), true);
      await fs.syncDirectory(dir);
    }
    if (fault === 'writes beside the file system it was given') await writeFile(join(dir, 'notes'), 'x');
    return new OneFileEngine(ctx, fault, lock, incarnation);
  }

  constructor(ctx: EngineContext, fault: Fault | undefined, lock: { release(): Promise<void> }, incarnation: string) {
    this.#ctx = ctx;
    this.#fault = fault;
    this.#lock = lock;
    this.incarnation = incarnation;
  }

  async create(id: SegmentId, { base, epoch, state }: CreateOptions): Promise<SegmentWriter> {
    const { fs, dir } = this.#ctx;
    if ((await this.#load(id)) !== undefined) throw error('SEGMENT_EXISTS', id);
    const file = await fs.open(this.#path(id), 'w+');
    const head = frame('head', { base, epoch, state: Buffer.from(state).toString('base64') });
    await file.write(head, 0);
    await file.datasync();
    if (this.#fault !== 'never syncs its directory') await fs.syncDirectory(dir);
    const writer = new Writer(
      id,
      { base, state: Buffer.from(state), end: base, batches: [] },
      file,
      head.length,
      this.#fault,
    );
    this.#writers.set(id, writer);
    return writer;
  }

  async recover(id: SegmentId, { epoch }: { readonly epoch: number }): Promise<{ readonly end: number }> {
    await this.#writers.get(id)?.fence();
    const found = await this.#load(id);
    if (found === undefined) throw error('SEGMENT_UNKNOWN', id);
    if (epoch < found.fenced) throw error('FENCED', id);
    const file = await this.#ctx.fs.open(this.#path(id), 'r+');
    try {
      let { bytes } = found;
      if (!found.sealed) await file.truncate(bytes);
      if (epoch > found.fenced) {
        const fence = frame('fence', { epoch });
        await file.write(fence, bytes);
        if (this.#fault !== 'fences without a sync') await file.datasync();
        bytes += fence.length;
      }
      if (!found.sealed) {
        await file.write(sealFrames(found.end), bytes);
        await file.datasync();
      }
    } finally {
      await file.close();
    }
    return { end: found.end };
  }

  async ingest(id: SegmentId, options: IngestOptions, chunks: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    const { fs, dir } = this.#ctx;
    const there = await this.#load(id);
    if (there !== undefined && there.ingested?.uid !== options.uid) throw error('SEGMENT_EXISTS', id);
    const pieces: Buffer[] = [];
    for await (const chunk of chunks) pieces.push(Buffer.from(chunk));
    let crc = 0;
    for (const piece of pieces)
      forEachBatch(piece, (_, at) => {
        crc = crc32cSmall(piece, at, at + 61, crc);
      });
    const { base, epoch, end, uid } = options;
    const head: Head = {
      base,
      epoch,
      state: Buffer.from(options.state).toString('base64'),
      ingested: { end, uid, crc },
    };
    const bytes = Buffer.concat([
      frame('head', head),
      ...pieces.map((piece) => frame('append', piece)),
      sealFrames(end),
    ]);
    const early = this.#fault === 'gives an ingested file its name before it is synced';
    await writeWhole(fs, this.#path(id), bytes, !early);
    if (this.#fault !== 'never syncs its directory') await fs.syncDirectory(dir);
    return { bytes: pieces.reduce((sum, { length }) => sum + length, 0), crc };
  }

  async openReader(id: SegmentId): Promise<SegmentReader> {
    const found = await this.#load(id);
    if (found === undefined) throw error('SEGMENT_UNKNOWN', id);
    if (!found.sealed) throw error('SEGMENT_NOT_SEALED', id);
    return new Reader(found, true);
  }

  async delete(id: SegmentId): Promise<void> {
    await this.#writers.get(id)?.fence();
    await this.#ctx.fs.unlink(this.#path(id)).catch(ignoreMissing);
    if (this.#fault !== 'removes a file and never syncs that') await this.#ctx.fs.syncDirectory(this.#ctx.dir);
  }

  async list({
    prefix,
    after,
    limit,
  }: {
    readonly prefix: string;
    readonly after?: SegmentId;
    readonly limit: number;
  }): Promise<SegmentId[]> {
    const names = await this.#ctx.fs.readdir(this.#ctx.dir);
    const ids = names.filter((name) => name.endsWith('.seg')).map((name) => name.slice(0, -4));
    const wanted: SegmentId[] = [];
    for (const id of ids.sort())
      if (
        id.startsWith(prefix) &&
        (after === undefined || id > after) &&
        (await this.#load(id).catch(() => true)) !== undefined
      )
        wanted.push(id);
    return wanted.slice(0, limit);
  }

  async close(): Promise<void> {
    for (const writer of this.#writers.values()) await writer.fence();
    this.#writers.clear();
    await this.#lock.release();
  }

  #path(id: SegmentId): string {
    return join(this.#ctx.dir, `${id}.seg`);
  }

  async #load(id: SegmentId): Promise<Found | undefined> {
    const bytes = await readWhole(this.#ctx.fs, this.#path(id));
    return bytes === undefined ? undefined : parse(id, bytes, this.#fault);
  }
}

interface Content {
  readonly base: number;
  readonly state: Buffer;
  end: number;
  readonly batches: {
    readonly base: number;
    readonly next: number;
    readonly bytes: Buffer;
    readonly timestamp: number;
  }[];
}

interface Found extends Content {
  readonly fenced: number;
  readonly sealed: boolean;
  /** Of whole frames. */
  readonly bytes: number;
  readonly ingested: Head['ingested'];
}

function parse(id: SegmentId, bytes: Buffer, fault: Fault | undefined): Found | undefined {
  let at = 0;
  let head: Head | undefined;
  let fenced = 0;
  let sealed = false;
  const content = { base: 0, state: Buffer.alloc(0), end: 0, batches: [] as Content['batches'] };
  const isWhole = (from: number): boolean => {
    if (from + FRAME_BYTES > bytes.length) return false;
    const end = from + FRAME_BYTES + bytes.readUInt32LE(from + 4);
    const kind = bytes.readUInt32LE(from + 8);
    if (end > bytes.length || kind < 1 || kind > KIND.mark) return false;
    if (fault === 'believes lengths without a checksum' && kind === KIND.append) return true;
    return bytes.readUInt32LE(from) === crc32cSmall(bytes, from + 4, end);
  };
  for (; isWhole(at); at += FRAME_BYTES + bytes.readUInt32LE(at + 4)) {
    const body = bytes.subarray(at + FRAME_BYTES, at + FRAME_BYTES + bytes.readUInt32LE(at + 4));
    const kind = bytes.readUInt32LE(at + 8);
    if (kind === KIND.head) {
      // of a frame whose checksum holds, or that this engine does not check
      head = JSON.parse(body.toString()) as Head;
      content.base = head.base;
      content.end = head.base;
      content.state = Buffer.from(head.state, 'base64');
      fenced = head.epoch;
    } else if (kind === KIND.append) {
      forEachBatch(body, (header, from) => {
        const next = nextOffset(header);
        const whole = Buffer.from(body.subarray(from, from + header.bytes));
        content.batches.push({ base: header.baseOffset, next, bytes: whole, timestamp: header.maxTimestamp });
        content.end = next;
      });
    } else if (kind === KIND.fence) fenced = Math.max(fenced, (JSON.parse(body.toString()) as { epoch: number }).epoch);
    else if (kind === KIND.seal) {
      sealed = true;
      content.end = (JSON.parse(body.toString()) as { end: number }).end;
    }
  }
  const rest = bytes.length - at;
  if (rest > 0 && fault === 'takes a torn tail for damage') throw error('CORRUPT', id);
  if (rest > 0 && fault !== 'cuts the log at the first damage')
    for (let later = at + 1; later + FRAME_BYTES <= bytes.length; later++)
      if (isWhole(later)) throw error('CORRUPT', id);
  if (head === undefined) return undefined;
  return { ...content, fenced, sealed, bytes: at, ingested: head.ingested };
}

/** The mark proves the seal in front of it. */
function sealFrames(end: number): Buffer {
  return Buffer.concat([frame('seal', { end }), frame('mark')]);
}

class Reader implements SegmentReader {
  readonly content: Content;
  #sealed: boolean;

  constructor(content: Content, sealed: boolean) {
    this.content = content;
    this.#sealed = sealed;
  }

  offsets(): { base: number; committed: number; end: number; sealed: boolean } {
    const { base, end } = this.content;
    return { base, committed: end, end, sealed: this.#sealed };
  }

  seals(): void {
    this.#sealed = true;
  }

  async state(): Promise<Uint8Array> {
    return this.content.state;
  }

  async read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<{ bytes: Uint8Array; next: number }> {
    const pieces: Buffer[] = [];
    let size = 0;
    let next = this.content.end;
    for (const batch of this.content.batches) {
      if (batch.next <= from) continue;
      if (pieces.length > 0 && size + batch.bytes.length > maxBytes) break;
      pieces.push(batch.bytes);
      size += batch.bytes.length;
      next = batch.next;
    }
    return { bytes: Buffer.concat(pieces), next };
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.content.batches.find((batch) => batch.timestamp >= timestamp)?.base;
  }

  async close(): Promise<void> {}
}

class Writer extends Reader implements SegmentWriter {
  readonly #id: SegmentId;
  readonly #file: FileHandle;
  readonly #fault: Fault | undefined;
  #position: number;
  #dispatched: number;
  #last: Promise<unknown> = Promise.resolve();
  #fenced = false;

  constructor(id: SegmentId, content: Content, file: FileHandle, position: number, fault: Fault | undefined) {
    super(content, false);
    this.#id = id;
    this.#file = file;
    this.#position = position;
    this.#fault = fault;
    this.#dispatched = content.base;
  }

  override offsets(): { base: number; committed: number; end: number; sealed: boolean } {
    return { ...super.offsets(), end: this.#dispatched };
  }

  append(batches: readonly Uint8Array[], { base }: { readonly base: number }): Promise<{ readonly next: number }> {
    if (base !== this.#dispatched) return Promise.reject(error('OFFSET_MISMATCH', this.#id));
    const bytes = Buffer.concat(batches);
    const added: Content['batches'] = [];
    forEachBatch(bytes, (header, from) => {
      this.#dispatched = nextOffset(header);
      const whole = Buffer.from(bytes.subarray(from, from + header.bytes));
      added.push({ base: header.baseOffset, next: this.#dispatched, bytes: whole, timestamp: header.maxTimestamp });
    });
    const next = this.#dispatched;
    return this.#inTurn(async () => {
      await this.#put(frame('append', bytes), this.#fault !== 'acknowledges before it syncs');
      this.content.batches.push(...added);
      this.content.end = next;
      return { next };
    });
  }

  ready(): undefined {
    return undefined;
  }

  async flush(): Promise<void> {
    await this.#last.catch(() => {});
  }

  async seal(): Promise<{ readonly end: number }> {
    return await this.#inTurn(async () => {
      const { end } = this.content;
      if (!super.offsets().sealed)
        await this.#put(sealFrames(end), this.#fault !== 'syncs a seal only when it is closed');
      this.seals();
      return { end };
    });
  }

  async fence(): Promise<void> {
    if (this.#fenced) return;
    this.#fenced = true;
    await this.flush();
    await this.#file.datasync().catch(() => {});
    await this.#file.close();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(async () => {
      if (this.#fenced) throw error('FENCED', this.#id);
      return await work();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #put(bytes: Buffer, sync: boolean): Promise<void> {
    await this.#file.write(bytes, this.#position);
    this.#position += bytes.length;
    if (sync) await this.#file.datasync();
  }
}

async function readWhole(fs: FileSystem, path: string): Promise<Buffer | undefined> {
  let file: FileHandle;
  try {
    file = await fs.open(path, 'r');
  } catch (cause) {
    ignoreMissing(cause);
    return undefined;
  }
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0, bytes.length, 0);
    return bytes;
  } finally {
    await file.close();
  }
}

async function writeWhole(fs: FileSystem, path: string, bytes: Uint8Array, sync: boolean): Promise<void> {
  const file = await fs.open(`${path}.tmp`, 'w+');
  try {
    await file.write(bytes, 0);
    if (sync) await file.datasync();
  } finally {
    await file.close();
  }
  await fs.rename(`${path}.tmp`, path);
}

function ignoreMissing(cause: unknown): void {
  if ((cause as { code?: unknown }).code !== 'ENOENT') throw cause;
}

function error(code: ConstructorParameters<typeof StorageError>[0], id: SegmentId): StorageError {
  return new StorageError(code, `one-file: ${code}`, { where: `segment ${id}`, outcome: 'none' });
}
