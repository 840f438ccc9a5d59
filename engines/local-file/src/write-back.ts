import { type FileHandle, StorageError } from '@robustmq/core';
import type { FileCache } from './file-cache.ts';
import type { OpenSegment } from './segment/open-segment.ts';

export interface WriteBackOptions {
  readonly cache: FileCache;
  /** A segment with this much is written. */
  readonly segmentBytes: number;
  /** With this much in all, the oldest are written; with twice as much, writers wait. */
  readonly totalBytes: number;
  /** There was no room on the disk: the data stays where it is. */
  onFull(detail: string): void;
}

/** Little by little: a sync of much at once would hold up the write-ahead log on the same disk. */
const SYNC_BYTES = 4 * 1024 * 1024;

/** What lies in many chunks is written at once up to this. */
const PIECE_BYTES = 1024 * 1024;

/** Half of libuv's threads, so that reads and syncs get their turn. */
const CONCURRENT = 2;

/** Brings committed bytes from memory, and from the log after a start, into segment files, in large pieces: the log has them. */
export class WriteBack {
  readonly #options: WriteBackOptions;
  readonly #queue = new Set<OpenSegment>();
  /** Those with anything in memory. */
  readonly #unwritten = new Set<OpenSegment>();
  #waiting: (() => void)[] = [];
  readonly #scratches: Buffer[] = [];
  #active = 0;
  #stopped = false;
  /** The last write has failed: nothing is tried again until somebody asks. */
  #failing = false;
  #held = 0;

  constructor(options: WriteBackOptions) {
    this.#options = options;
  }

  get heldBytes(): number {
    return this.#held;
  }

  get full(): boolean {
    return this.#held >= 2 * this.#options.totalBytes;
  }

  /** `undefined` when there is room for more, else when there is. */
  room(): Promise<void> | undefined {
    return this.full ? new Promise((resolve) => this.#waiting.push(resolve)) : undefined;
  }

  /** The segment has got bytes. */
  committed(segment: OpenSegment): void {
    this.#count(segment);
    if (!segment.unwritten) {
      segment.unwritten = true;
      this.#unwritten.add(segment);
    }
    if (segment.writing !== undefined) return;
    this.#failing = false;
    if (segment.log.tail.bytes >= this.#options.segmentBytes) this.#queue.add(segment);
    else if (this.#held <= this.#options.totalBytes) return;
    if (this.#active < CONCURRENT) this.#pump();
  }

  /** Resolves when everything that is committed now is in the file. */
  async drain(segment: OpenSegment): Promise<void> {
    const target = segment.log.bytes;
    while (!segment.deleted && segment.log.tail.start < target) await this.#write(segment);
  }

  /** The segment is gone: nothing of it will be written. */
  drop(segment: OpenSegment): void {
    this.#queue.delete(segment);
    this.#forget(segment);
    segment.log.tail.dropInLog();
    this.#held -= segment.counted;
    segment.counted = 0;
    this.#wake();
  }

  /** Begins nothing more, and resolves when what has begun is done. What stays in memory is in the write-ahead log. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.clear();
    for (const segment of this.#unwritten) await segment.writing?.catch(() => {});
  }

  #pump(): void {
    while (this.#active < CONCURRENT && !this.#stopped) {
      const segment = this.#next();
      if (segment === undefined) return;
      this.#active++;
      this.#write(segment)
        .catch(() => {})
        .finally(() => {
          this.#active--;
          this.#pump();
        });
    }
  }

  /** Writes everything: where that has failed before, there may be room again. */
  writeAll(): void {
    this.#failing = false;
    for (const segment of this.#unwritten) this.#queue.add(segment);
    this.#pump();
  }

  /** The first that has a piece worth writing; when all together have too much, the one that waits longest. */
  #next(): OpenSegment | undefined {
    for (const segment of this.#queue) {
      this.#queue.delete(segment);
      return segment;
    }
    if (this.#held <= this.#options.totalBytes || this.#failing) return undefined;
    for (const segment of this.#unwritten) {
      if (segment.writing !== undefined) continue;
      // to the end of the line: it may fail, and others are to have their turn
      this.#unwritten.delete(segment);
      this.#unwritten.add(segment);
      return segment;
    }
    return undefined;
  }

  #forget(segment: OpenSegment): void {
    segment.unwritten = false;
    this.#unwritten.delete(segment);
  }

  #write(segment: OpenSegment): Promise<void> {
    segment.writing ??= this.#writeTail(segment).then(
      () => {
        segment.writing = undefined;
        this.#failing = false;
        // what has come meanwhile may be enough for the next piece
        if (segment.log.tail.bytes >= this.#options.segmentBytes && !segment.deleted) this.#queue.add(segment);
        this.#pump();
      },
      (error: unknown) => {
        segment.writing = undefined;
        this.#failing = true;
        throw error;
      },
    );
    return segment.writing;
  }

  async #writeTail(segment: OpenSegment): Promise<void> {
    const { tail, path } = segment.log;
    const target = tail.end;
    const scratch = this.#scratches.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
    try {
      await this.#options.cache.with(path, true, async (file) => {
        while (tail.start < target) {
          const piece = tail.isInLog ? await tail.oldestInLog(scratch) : tail.oldest(scratch);
          if (piece === undefined || segment.deleted) return;
          await file.write(piece.bytes, piece.position);
          tail.written();
          segment.unsynced += piece.bytes.length;
          if (segment.unsynced >= SYNC_BYTES) await syncLog(segment, file);
          this.#count(segment);
          this.#wake();
        }
      });
      if (tail.bytes === 0) this.#forget(segment);
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code === 'ENOSPC' || code === 'EDQUOT') this.#options.onFull(message);
      else segment.fail(writeError(segment, error));
      throw error;
    } finally {
      if (this.#scratches.length < CONCURRENT) this.#scratches.push(scratch);
    }
  }

  #count(segment: OpenSegment): void {
    const { held } = segment.log.tail;
    if (segment.deleted) return;
    this.#held += held - segment.counted;
    segment.counted = held;
  }

  #wake(): void {
    if (this.#waiting.length === 0 || this.full) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/** Syncs a segment's file. When that fails, nobody knows what it holds. */
export async function syncLog(segment: OpenSegment, file: FileHandle): Promise<void> {
  segment.unsynced = 0;
  try {
    await file.datasync();
  } catch (error) {
    segment.mustRewrite = true;
    segment.fail(writeError(segment, error));
    throw error;
  }
}

export function writeError(segment: OpenSegment, cause: unknown): StorageError {
  return new StorageError('IO_ERROR', 'Writing the file of the segment failed', {
    where: `segment ${segment.id}, ${segment.log.path}`,
    hint: 'Acknowledged data is in the write-ahead log; the shard goes on in a new segment. Check the disk',
    cause,
  });
}
