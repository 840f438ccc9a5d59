import type {
  Counter,
  CreateOptions,
  EngineContext,
  EngineHealth,
  IngestOptions,
  IngestResult,
  SegmentId,
  SegmentReader,
  SegmentState,
  SegmentWriter,
  StorageEngine,
} from '@robustmq/core';
import { type StorageCode, StorageError } from '@robustmq/core';
import type { Checkpointer } from './checkpointer.ts';
import type { DiskSpace } from './disk-space.ts';
import { ioError, removeFile, sizeOf } from './durable-file.ts';
import type { FileCache } from './file-cache.ts';
import { IdLocks } from './id-locks.ts';
import { ingestSegment } from './ingest.ts';
import { openStored, sealedLog } from './sealed-segments.ts';
import type { Descriptor } from './segment/descriptor.ts';
import { OpenSegment } from './segment/open-segment.ts';
import { parseSegmentFile, type SegmentPaths } from './segment/segment-files.ts';
import { SegmentLog } from './segment/segment-log.ts';
import { SealedReader } from './segment/segment-reader.ts';
import { fenced, LocalFileWriter, sealInLog, type WriterServices } from './segment/segment-writer.ts';
import { SparseIndex } from './segment/sparse-index.ts';
import { bodyOf, checkLog, exists, readFooter, stateOf } from './segment/stored.ts';
import type { SegmentTable } from './segment-table.ts';
import type { LocalFileSettings } from './settings.ts';
import { encodeBody } from './wal/bodies.ts';
import type { LogReads } from './wal/log-reads.ts';
import type { Wal } from './wal/wal.ts';
import type { WriteBack } from './write-back.ts';

export interface EngineParts {
  readonly ctx: EngineContext<Partial<LocalFileSettings>>;
  readonly dir: string;
  readonly settings: LocalFileSettings;
  readonly paths: SegmentPaths;
  readonly lock: { release(): Promise<void> };
  readonly incarnation: string;
  readonly table: SegmentTable;
  readonly cache: FileCache;
  readonly space: DiskSpace;
  readonly writeBack: WriteBack;
  readonly wal: Wal;
  readonly checkpointer: Checkpointer;
  readonly logReads: LogReads;
}

/** Segments on the local disk: what `open.ts` has put together, as the contract wants it. */
export class LocalFileEngine implements StorageEngine {
  readonly incarnation: string;
  readonly #parts: EngineParts;
  /** What every writer needs, in one object for all of them. */
  readonly #services: WriterServices;
  readonly #locks = new IdLocks();
  readonly #groups: Counter;
  #closing: Promise<void> | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.incarnation = parts.incarnation;
    this.#services = { ...parts, state: (segment) => this.#state(segment) };
    const { writeBack, table, ctx, cache } = parts;
    ctx.metrics.gauge('robust_local_file_wal_bytes', HELP.wal, () => parts.checkpointer.distance, this.#labels());
    this.#groups = ctx.metrics.counter('robust_local_file_wal_groups_total', HELP.groups, this.#labels());
    ctx.metrics.gauge('robust_local_file_tail_bytes', HELP.tail, () => writeBack.heldBytes, this.#labels());
    ctx.metrics.gauge('robust_local_file_open_segments', HELP.segments, () => table.size, this.#labels());
    ctx.metrics.gauge('robust_local_file_open_files', HELP.files, () => cache.open, this.#labels());
  }

  create(id: SegmentId, options: CreateOptions): Promise<SegmentWriter> {
    return this.#locks.run(id, () => this.#create(id, options));
  }

  recover(id: SegmentId, options: { readonly epoch: number }): Promise<{ readonly end: number }> {
    return this.#locks.run(id, () => this.#recover(id, options.epoch));
  }

  ingest(id: SegmentId, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    return this.#locks.run(id, () => this.#ingest(id, options, batches));
  }

  async openReader(id: SegmentId): Promise<SegmentReader> {
    const { table, ctx, paths, cache, settings } = this.#parts;
    const open = table.get(id);
    if (open !== undefined) {
      if (open.corrupt !== undefined) throw this.#corrupt(open);
      if (!open.sealed) throw this.#error('SEGMENT_NOT_SEALED', 'The segment is not sealed', id);
      return new SealedReader(open.log, () => this.#state(open));
    }
    const footer = await this.#footer(id);
    if (footer === undefined) throw await this.#missing(id);
    await checkLog(ctx.fs, paths, id, footer.bytes);
    const log = sealedLog(paths, cache, id, footer, settings.indexIntervalBytes);
    return new SealedReader(log, () => stateOf(ctx.fs, paths, id));
  }

  delete(id: SegmentId): Promise<void> {
    return this.#locks.run(id, () => this.#delete(id));
  }

  async list(options: {
    readonly prefix: string;
    readonly after?: SegmentId;
    readonly limit: number;
  }): Promise<SegmentId[]> {
    const { prefix, after, limit } = options;
    const { ctx, paths, table } = this.#parts;
    const ids = new Set<SegmentId>();
    const take = (id: SegmentId): void => {
      if (id.startsWith(prefix) && (after === undefined || id > after)) ids.add(id);
    };
    for (const name of await ctx.fs.readdir(paths.dir)) {
      const file = parseSegmentFile(name);
      if (file !== undefined && !file.temporary && file.kind !== 'index' && !this.#locks.ingesting.has(file.id))
        take(file.id);
    }
    for (const segment of table.all()) take(segment.id);
    return [...ids].sort().slice(0, limit);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Called after each group of the log. */
  progress(): void {
    this.#groups.value++;
    this.#parts.space.tick();
    this.#parts.checkpointer.progress();
  }

  /** The log cannot be written, and trying again has not helped. */
  failed(error: StorageError): void {
    this.#parts.ctx.health({ status: 'failed', detail: `${error.message}: check the disk, then start the node again` });
  }

  /** Unless the log is dead: nothing is worse. */
  report(health: EngineHealth): void {
    if (this.#parts.wal.dead === undefined) this.#parts.ctx.health(health);
  }

  diskFull(detail: string): void {
    this.report({
      status: 'full',
      detail: `No room on the disk of ${this.#parts.dir} (${detail}): appends are refused until there is`,
    });
  }

  diskHasRoom(): void {
    const { wal, writeBack, checkpointer } = this.#parts;
    this.report({ status: 'ok', detail: '' });
    wal.retryRoom();
    writeBack.writeAll();
    checkpointer.kick();
  }

  async #create(id: SegmentId, options: CreateOptions): Promise<SegmentWriter> {
    const { ctx, table, paths, cache, settings, wal, space } = this.#parts;
    if (
      table.get(id) !== undefined ||
      (await exists(ctx.fs, paths.of(id, 'footer'))) ||
      (await exists(ctx.fs, paths.of(id, 'log')))
    )
      throw this.#error('SEGMENT_EXISTS', 'There is a segment of this name', id);
    if (!space.admit(options.state.length)) throw this.#error('DISK_FULL', 'The disk is full', id);
    const { base, epoch } = options;
    const number = table.nextNumber++;
    const log = new SegmentLog(id, paths, cache, {
      base,
      end: base,
      bytes: 0,
      index: new SparseIndex(settings.indexIntervalBytes),
    });
    const segment = new OpenSegment({ id, number, nonce: this.#nonce(), base, epoch, log });
    segment.state = Buffer.from(options.state);
    await wal.write('create', { number, epoch, offset: base }, encodeBody(segment.nonce, id, options.state), () => {
      table.add(segment);
      table.touch(segment);
    });
    return new LocalFileWriter(segment, this.#services);
  }

  async #recover(id: SegmentId, epoch: number): Promise<{ readonly end: number }> {
    const { table } = this.#parts;
    const open = table.get(id);
    if (open === undefined) return await this.#recoverSealed(id, epoch);
    if (epoch < open.fencedEpoch) throw this.#higher(id, epoch, open.fencedEpoch);
    open.fail(fenced(open, `taken over in epoch ${epoch}`));
    if (epoch > open.fencedEpoch || !open.sealed) await this.#fence(open, epoch);
    if (open.corrupt !== undefined) throw this.#corrupt(open);
    if (!open.sealed) {
      await this.#checkFiles(open);
      const end = open.log.end;
      await sealInLog(open, this.#parts, epoch, end);
    }
    return { end: open.log.end };
  }

  /** Its end is in the footer; only an epoch that is news has to be written down. */
  async #recoverSealed(id: SegmentId, epoch: number): Promise<{ readonly end: number }> {
    const { ctx, paths, cache, settings } = this.#parts;
    const footer = await this.#footer(id);
    if (footer === undefined) throw await this.#missing(id);
    if (epoch < footer.fencedEpoch) throw this.#higher(id, epoch, footer.fencedEpoch);
    await checkLog(ctx.fs, paths, id, footer.bytes);
    if (epoch === footer.fencedEpoch) return { end: footer.end };
    const segment = await openStored(ctx.fs, paths, cache, id, footer, settings.indexIntervalBytes);
    await this.#fence(segment, epoch);
    return { end: footer.end };
  }

  async #fence(segment: OpenSegment, epoch: number): Promise<void> {
    const { wal, table } = this.#parts;
    const fields = { number: segment.number, epoch, offset: segment.base };
    await wal.write('fence', fields, encodeBody(segment.nonce, segment.id), () => {
      segment.fencedEpoch = Math.max(segment.fencedEpoch, epoch);
      // a sealed one was in files alone, or is since a checkpoint: until its footer has the epoch, the table does
      table.add(segment);
      table.touch(segment);
    });
  }

  /** What the checkpoint says is in the file must be there. */
  async #checkFiles(segment: OpenSegment): Promise<void> {
    const { ctx, checkpointer } = this.#parts;
    if (segment.mustRewrite)
      try {
        await checkpointer.rewrite(segment);
      } catch (error) {
        throw ioError('The file of the segment cannot be written', segment.log.path, error);
      }
    if (segment.synced.bytes === 0) return;
    const size = await sizeOf(ctx.fs, segment.log.path);
    if (size === undefined) throw this.#error('SEGMENT_LOST', 'The file of the segment is gone', segment.id);
    if (size >= segment.synced.bytes) return;
    segment.corrupt = `its file has ${size} bytes, it had ${segment.synced.bytes}`;
    throw this.#corrupt(segment);
  }

  async #ingest(id: SegmentId, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    const { ctx, table, paths, cache, settings, space } = this.#parts;
    const open = table.get(id);
    const footer = open === undefined ? await this.#footer(id) : undefined;
    if (footer?.ingested && (await bodyOf(ctx.fs, paths, id)).uid === options.uid)
      return { bytes: footer.bytes, crc: footer.digest };
    if (open?.ingested && open.uid === options.uid) return { bytes: open.log.bytes, crc: open.digest };
    if (open !== undefined || footer !== undefined || (await exists(ctx.fs, paths.of(id, 'log'))))
      throw this.#error('SEGMENT_EXISTS', 'There is another segment of this name', id);
    if (space.full) throw this.#error('DISK_FULL', 'The disk is full', id);
    const release = this.#locks.hide(id);
    try {
      cache.forget(paths.of(id, 'log'));
      cache.forget(paths.of(id, 'index'));
      return await ingestSegment(ctx.fs, paths, id, options, batches, {
        interval: settings.indexIntervalBytes,
        nonce: this.#nonce(),
        reserve: (bytes) => space.admit(bytes),
      });
    } finally {
      release();
    }
  }

  async #delete(id: SegmentId): Promise<void> {
    const { ctx, table, paths, cache, wal, writeBack, checkpointer } = this.#parts;
    const open = table.get(id);
    // a damaged footer names nobody: whatever is there goes
    const footer = open === undefined ? await this.#footer(id).catch(() => undefined) : undefined;
    if (open === undefined && footer === undefined && !(await this.#hasFiles(id))) return;
    if (open !== undefined) open.fail(fenced(open, 'deleted'));
    const nonce = open?.nonce ?? footer?.nonce ?? 0;
    const fields = { number: open?.number ?? footer?.number ?? 0, epoch: 0, offset: 0 };
    await wal.write('delete', fields, encodeBody(nonce, id), () => {
      if (open === undefined) return;
      open.deleted = true;
      open.log.deleted = true;
      table.remove(open);
      writeBack.drop(open);
    });
    if (open !== undefined) {
      await open.writing?.catch(() => {});
      // what it wrote after this would be taken for the next one's of this name
      await checkpointer.leaves(open);
    }
    for (const kind of ['log', 'index', 'head', 'footer'] as const) {
      cache.forget(paths.of(id, kind));
      await removeFile(ctx.fs, paths.of(id, kind));
    }
    checkpointer.removedFiles();
  }

  async #close(): Promise<void> {
    const { wal, writeBack, checkpointer, cache, space, lock, logReads } = this.#parts;
    for (const segment of this.#parts.table.all()) if (!segment.sealed) segment.fail(closed(segment.id));
    space.close();
    try {
      const stuck = new StorageError('CLOSED', 'The engine was closed before there was room on the disk', {
        where: this.#parts.dir,
        outcome: 'unknown',
      });
      await wal.stopWaiting(stuck);
      await writeBack.stop();
      await checkpointer.close();
      await wal.close();
      await cache.close();
    } finally {
      await logReads.close();
      await lock.release();
    }
  }

  async #state(segment: OpenSegment): Promise<SegmentState> {
    const { ctx, paths } = this.#parts;
    return segment.state ?? (await stateOf(ctx.fs, paths, segment.id));
  }

  #footer(id: SegmentId): Promise<Descriptor | undefined> {
    return readFooter(this.#parts.ctx.fs, this.#parts.paths, id);
  }

  async #missing(id: SegmentId): Promise<StorageError> {
    const { table } = this.#parts;
    if (await this.#hasFiles(id)) return this.#error('SEGMENT_LOST', 'Some files of the segment are gone', id);
    if (table.suspect) return this.#error('SEGMENT_LOST', 'The segment may have been among what was lost here', id);
    return this.#error('SEGMENT_UNKNOWN', 'There was never such a segment here', id);
  }

  async #hasFiles(id: SegmentId): Promise<boolean> {
    const { ctx, paths } = this.#parts;
    for (const kind of ['footer', 'log', 'head', 'index'] as const)
      if (await exists(ctx.fs, paths.of(id, kind))) return true;
    return false;
  }

  #nonce(): number {
    return Math.floor(this.#parts.ctx.random.next() * 2 ** 32);
  }

  #labels(): Readonly<Record<string, string>> {
    return { instance: this.#parts.ctx.instance };
  }

  #corrupt(segment: OpenSegment): StorageError {
    return new StorageError('CORRUPT', `Committed data of the segment is damaged: ${segment.corrupt}`, {
      where: `segment ${segment.id}`,
      hint: 'Restore the directory from a copy, or give the segment up with `topic recover --accept-loss`',
    });
  }

  #higher(id: SegmentId, epoch: number, seen: number): StorageError {
    return new StorageError('FENCED', `Epoch ${epoch} is over: the segment has seen epoch ${seen}`, {
      where: `segment ${id}`,
      outcome: 'none',
      hint: 'Another owner has the shard: ask Meta who it is',
    });
  }

  #error(code: StorageCode, message: string, id: SegmentId): StorageError {
    return new StorageError(code, message, { where: `segment ${id} of ${this.#parts.ctx.instance}`, outcome: 'none' });
  }
}

/** What was on its way may have reached the log, and is found there by the next recovery. */
function closed(id: SegmentId): StorageError {
  return new StorageError('CLOSED', 'The engine was closed', { where: `segment ${id}`, outcome: 'unknown' });
}

const HELP = {
  wal: 'Bytes of the write-ahead log that are not yet in synced segment files',
  groups: 'Groups written to the write-ahead log since the start',
  tail: 'Bytes of committed data in memory, on their way to segment files',
  segments: 'Segments that are open, or sealed and not yet out of the write-ahead log',
  files: 'Segment files that are open',
} as const;
