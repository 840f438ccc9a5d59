import { join } from 'node:path';
import { type Clock, type FileSystem, type Logger, StorageError, type Timer } from '@robustmq/core';
import { type Checkpoint, encodeCheckpoint, type SegmentRow } from './checkpoint.ts';
import { removeFile, replaceFile, replaceFileDurably } from './durable-file.ts';
import type { FileCache } from './file-cache.ts';
import { splitBatches } from './segment/batch-fields.ts';
import { Extents } from './segment/extents.ts';
import type { OpenSegment } from './segment/open-segment.ts';
import type { SegmentPaths } from './segment/segment-files.ts';
import { encodeIndexHeader, INDEX_ENTRY_BYTES } from './segment/sparse-index.ts';
import { footerOf, stateOf } from './segment/stored.ts';
import type { SegmentTable } from './segment-table.ts';
import { KIND } from './wal/frames.ts';
import type { LogReads } from './wal/log-reads.ts';
import { replay } from './wal/replay.ts';
import type { Wal, WalPlace } from './wal/wal.ts';
import type { WalFiles } from './wal/wal-files.ts';
import { syncLog, type WriteBack } from './write-back.ts';

export interface CheckpointerOptions {
  readonly dir: string;
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly paths: SegmentPaths;
  readonly cache: FileCache;
  readonly table: SegmentTable;
  readonly writeBack: WriteBack;
  readonly wal: Wal;
  readonly logReads: LogReads;
  readonly files: WalFiles;
  readonly walFileBytes: number;
  readonly checkpointBytes: number;
  readonly maxGroupBytes: number;
  readonly generation: number;
  readonly place: WalPlace;
  /** Rounds have failed for a while, and why; `undefined`: one has succeeded again. */
  onTrouble(detail: string | undefined): void;
}

const CONCURRENT = 3;
const RETRY_MS = 1000;
/** So long after a start the disk belongs to those who recover their segments. */
const START_MS = 5000;
const REWRITE_BYTES = 1024 * 1024;
/** So long rounds may fail before a person is told. */
const TROUBLE_MS = 10_000;
/** Closing syncs so many segments; with more, the next start reads the log instead. */
const CLOSE_LIMIT = 1024;
/** A state of this size stands in the checkpoint; a larger one has a file of its own. */
const INLINE_STATE_BYTES = 512;

/**
 * Lets the write-ahead log be written again from its beginning: first everything it says is put into segment files and synced,
 * then a checkpoint says so, and only then are its files free.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #place: WalPlace;
  #running: Promise<void> | undefined;
  /** The checkpoint is written for the names in it alone. */
  #naming: Promise<void> | undefined;
  #retry: Timer | undefined;
  #start: Timer | undefined;
  /** Has the round that copies what a start has found in the log go as fast as any other. */
  #hurry: (() => void) | undefined;
  /** Of the log's files, those that were there when the checkpoint was written. */
  #named = 0;
  /** No round has succeeded yet. */
  #first = true;
  #closed = false;
  /** When the first of the rounds failed that have failed since. */
  #failingSince: number | undefined;
  #troubled = false;
  /** Files came or went since the directory was synced. */
  #namesChanged = false;
  #footers: OpenSegment[] = [];
  /** Segments whose files are being written. */
  readonly #persisting = new Map<OpenSegment, Promise<void>>();

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#place = options.place;
  }

  get place(): WalPlace {
    return this.#place;
  }

  /** How much of the log is not yet in segment files for certain. */
  get distance(): number {
    const { wal, walFileBytes } = this.#options;
    const now = wal.durable;
    if (now.sequence === 0) return 0;
    return Math.max(0, (now.sequence - this.#place.sequence) * walFileBytes + now.offset - this.#place.offset);
  }

  /** Settles when nothing is being written into the files of this segment, which is deleted: from then on nothing will be. */
  async leaves(segment: OpenSegment): Promise<void> {
    await this.#persisting.get(segment)?.catch(() => {});
  }

  removedFiles(): void {
    this.#namesChanged = true;
  }

  /** Called after each group: begins a round when it is time. */
  progress(): void {
    const { files, checkpointBytes } = this.#options;
    // whoever appends would have to wait for it
    if (this.#hurry !== undefined && !files.spare) this.#hurry();
    if (this.#running !== undefined || this.#retry !== undefined || this.#closed) return;
    if (this.#named !== files.made) this.#nameFiles();
    if (files.spare && (this.#start !== undefined || this.distance < checkpointBytes)) return;
    void this.run();
  }

  /** After a start with something in the log: begins a round when those who wait for it have had their turn, or the log runs out of files. */
  runSoon(): void {
    // whoever wrote the log may have been killed before it had synced the names of files that it made, replaced or removed
    this.#namesChanged = true;
    this.#start = this.#options.clock.timer(START_MS, () => {
      this.#start = undefined;
      void this.run();
    });
    this.progress();
  }

  /** A file that no checkpoint names could go missing, with all that is in it, and the next start would not notice. */
  #nameFiles(): void {
    this.#naming ??= this.#writeNames()
      // the next round writes another
      .catch((error: unknown) => this.#options.logger.warn({ error }, 'a new file of the log is not in the checkpoint'))
      .finally(() => {
        this.#naming = undefined;
      });
  }

  async #writeNames(): Promise<void> {
    this.#named = this.#options.files.made;
    // its rows say what a round that failed has put into files: until their names are durable, a power cut may take them
    if (this.#namesChanged) await this.#syncNames();
    await this.write(this.#place);
  }

  /** There may be room on the disk again. */
  kick(): void {
    // whoever says so has said, too, that all is well: what is not is told again
    this.#troubled = false;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.progress();
  }

  /** One round. Never rejects: what could not be synced keeps its place in the log, and is tried again. */
  run(): Promise<void> {
    this.#start?.cancel();
    this.#start = undefined;
    this.#running ??= Promise.resolve(this.#naming)
      .then(() => this.#round())
      .finally(() => {
        this.#running = undefined;
        // the log may have filled up meanwhile: with no file left to write, no group will ask for the next round
        this.progress();
      });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    this.#start?.cancel();
    this.#hurry?.();
    await this.#running;
    await this.#naming;
    const { table, wal } = this.#options;
    if (table.dirtyCount > CLOSE_LIMIT || wal.dead !== undefined) return;
    await this.#round();
    this.#retry?.cancel();
  }

  async #round(): Promise<void> {
    const { wal, table, files, logger } = this.#options;
    // nothing written yet since the start: it will be in the first file that is ready for it
    const place = wal.durable.sequence > 0 ? wal.durable : { ...wal.durable, sequence: files.firstGranted, offset: 0 };
    const failures: unknown[] = [];
    const dirty = table.takeDirty();
    const work = dirty[Symbol.iterator]();
    const persist = async (): Promise<void> => {
      for (const segment of work)
        try {
          const persisting = this.#persist(segment);
          this.#persisting.set(segment, persisting);
          await persisting;
        } catch (error) {
          if (!segment.deleted) table.touch(segment);
          failures.push(namedAfter(segment.log.path, error));
        } finally {
          this.#persisting.delete(segment);
        }
    };
    try {
      // after a start there may be as much as the whole log: one at a time leaves the disk and the threads to others
      const turns = [persist()];
      const hurry = (): void => {
        while (turns.length < CONCURRENT) turns.push(persist());
      };
      if (this.#first && files.spare && !this.#closed) this.#hurry = hurry;
      else hurry();
      for (let turn = 0; turn < turns.length; turn++) await turns[turn];
      this.#hurry = undefined;
      if (dirty.length > 0) this.#namesChanged = true;
      if (this.#namesChanged) await this.#syncNames();
      if (failures.length > 0) throw failures[0];
      await this.#dropSealed();
      await this.write(place);
      await files.release(this.#place.sequence);
      wal.filesReleased();
      this.#succeeded();
    } catch (error) {
      this.#failed(error);
      logger.warn({ error }, 'the write-ahead log cannot be shortened yet: segment files are not synced');
      if (!this.#closed)
        this.#retry ??= this.#options.clock.timer(RETRY_MS, () => {
          this.#retry = undefined;
          void this.run();
        });
    }
  }

  /** When it fails, the next round owes it, though by then no segment may be left to write. */
  async #syncNames(): Promise<void> {
    const { fs, paths } = this.#options;
    this.#namesChanged = false;
    try {
      await fs.syncDirectory(paths.dir);
    } catch (error) {
      this.#namesChanged = true;
      throw error;
    }
  }

  #succeeded(): void {
    this.#first = false;
    this.#failingSince = undefined;
    if (!this.#troubled) return;
    this.#troubled = false;
    this.#options.onTrouble(undefined);
  }

  #failed(error: unknown): void {
    const now = this.#options.clock.monotonic();
    this.#failingSince ??= now;
    if (this.#troubled || this.#closed || now - this.#failingSince < TROUBLE_MS || isFull(error)) return;
    this.#troubled = true;
    const { path, message } = error as { path?: string; message: string };
    this.#options.onTrouble(`${path ?? this.#options.dir}: ${message}`);
  }

  /** Before anything is written to the log. */
  async begin(place: WalPlace): Promise<void> {
    await this.#options.files.makeGranted();
    await this.write(place);
  }

  async write(place: WalPlace): Promise<void> {
    const { table, dir, fs, files, generation, maxGroupBytes } = this.#options;
    this.#named = files.made;
    const checkpoint: Checkpoint = {
      generation,
      nextSequence: files.nextSequence,
      nextNumber: table.nextNumber,
      place,
      logFiles: files.namesFrom(place.sequence),
      maxGroupBytes,
      suspect: table.suspect,
      segments: [...table.all()].filter(belongsInCheckpoint).map(rowOf),
    };
    await replaceFileDurably(fs, join(dir, 'checkpoint'), encodeCheckpoint(checkpoint));
    this.#place = place;
  }

  /** Everything that is committed of a segment now, into its files, synced. */
  async #persist(segment: OpenSegment): Promise<void> {
    if (segment.deleted) return;
    const { log } = segment;
    const { writeBack, cache, fs, paths } = this.#options;
    const sealed = segment.sealed;
    const end = log.end;
    const bytes = log.bytes;
    const { count, lastPosition, maxTimestamp } = log.index;
    if (segment.corrupt === undefined) {
      await writeBack.drain(segment);
      if (segment.mustRewrite) await this.rewrite(segment);
      else if (bytes > segment.synced.bytes) await cache.with(log.path, false, (file) => syncLog(segment, file));
      await this.#saveIndex(segment, count, sealed);
      segment.synced = { end, bytes, indexCount: count, lastIndexed: lastPosition, maxTimestamp };
    } else if (log.tail.isInLog) {
      // what there is of it may be worth something to a person; the log does not wait for it
      await writeBack.drain(segment).catch(() => log.tail.dropInLog());
    }
    if (sealed) {
      const state = segment.state ?? (await stateOf(fs, paths, segment.id));
      await replaceFile(fs, paths.of(segment.id, 'footer'), footerOf(segment, state));
      this.#footers.push(segment);
    } else if (segment.state !== undefined && segment.state.length > INLINE_STATE_BYTES) {
      await replaceFile(fs, paths.of(segment.id, 'head'), footerOf(segment, segment.state));
      segment.state = undefined;
    }
  }

  /** Writes again, from the log, what a failed sync may have lost: the page cache may call it clean and hold something else. */
  async rewrite(segment: OpenSegment): Promise<void> {
    const { files, wal, logReads, cache, maxGroupBytes } = this.#options;
    const found = new Extents(segment.synced.bytes);
    let offset = segment.synced.end;
    try {
      await replay(
        logReads,
        files.from(this.#place.sequence),
        this.#place,
        maxGroupBytes,
        {
          entry: (header, body, file, place) => {
            if (header.kind !== KIND.append || header.number !== segment.number || header.offset !== offset) return;
            found.add(file, place, body.length);
            offset = splitBatches(body).next;
          },
          damaged: () => {},
          lost: () => {},
        },
        wal.durable.position,
      );
      if (offset < segment.log.end)
        throw new StorageError('IO_ERROR', `The log has nothing behind offset ${offset}`, {
          where: `segment ${segment.id}`,
          retryable: true,
        });
      cache.forget(segment.log.path);
      await cache.with(segment.log.path, true, async (file) => {
        const scratch = Buffer.allocUnsafeSlow(Math.min(REWRITE_BYTES, found.end - segment.synced.bytes));
        for (let at = segment.synced.bytes; at < found.end; at += scratch.length) {
          const length = Math.min(scratch.length, found.end - at);
          await found.read(scratch, 0, at, length);
          await file.write(scratch.subarray(0, length), at);
        }
        await file.datasync();
      });
    } finally {
      found.clear();
    }
    segment.mustRewrite = false;
  }

  async #saveIndex(segment: OpenSegment, count: number, sync: boolean): Promise<void> {
    const { log } = segment;
    if (count === log.indexSaved && !(sync && count > 0)) return;
    const path = this.#options.paths.of(segment.id, 'index');
    await this.#options.cache.with(path, true, async (file) => {
      const from = log.indexSaved;
      if (from === 0) await file.write(encodeIndexHeader(segment.base), 0);
      const entries = log.index.encode(from).subarray(0, (count - from) * INDEX_ENTRY_BYTES);
      if (entries.length > 0) await file.write(entries, (from + 1) * INDEX_ENTRY_BYTES);
      if (sync) await file.datasync();
    });
    log.indexSaved = count;
  }

  /** Footers are durable now: the log has nothing more to say of these. */
  async #dropSealed(): Promise<void> {
    const { table, fs, paths } = this.#options;
    const footers = this.#footers;
    this.#footers = [];
    const dropped: OpenSegment[] = [];
    for (const segment of footers) {
      if (table.get(segment.id) !== segment || segment.deleted) continue;
      // whatever fails from here on: as a row of the checkpoint it would be open again
      segment.hasFooter = true;
      // recovered meanwhile: the next round writes a footer with that epoch
      if (segment.dirty) continue;
      table.remove(segment);
      dropped.push(segment);
    }
    for (const { id } of dropped) await removeFile(fs, paths.of(id, 'head'));
  }
}

/** The disk is full: that is told elsewhere, and heals by itself. */
function isFull(error: unknown): boolean {
  const { code, cause } = error as { code?: string; cause?: { code?: string } };
  return [code, cause?.code].some((one) => one === 'ENOSPC' || one === 'EDQUOT' || one === 'DISK_FULL');
}

/** Errors of open files do not say which file. */
function namedAfter(path: string, error: unknown): unknown {
  return error instanceof Error && !('path' in error) ? Object.assign(error, { path }) : error;
}

/** Those whose state is in no file yet are made again from the log; those with a footer have all they need in it. */
function belongsInCheckpoint(segment: OpenSegment): boolean {
  return !segment.hasFooter && (segment.state?.length ?? 0) <= INLINE_STATE_BYTES;
}

function rowOf(segment: OpenSegment): SegmentRow {
  return {
    id: segment.id,
    number: segment.number,
    nonce: segment.nonce,
    base: segment.base,
    epoch: segment.epoch,
    fencedEpoch: segment.fencedEpoch,
    ...segment.synced,
    ...(segment.state === undefined ? {} : { state: Buffer.from(segment.state).toString('base64') }),
    ...(segment.corrupt === undefined ? {} : { corrupt: segment.corrupt }),
  };
}
