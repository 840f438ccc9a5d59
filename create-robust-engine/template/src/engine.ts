import {
  type CreateOptions,
  type EngineContext,
  forEachBatch,
  type IngestOptions,
  type IngestResult,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import { Credit } from './credit.ts';
import { Log } from './log.ts';
import { Reader } from './reader.ts';
import type { Segment } from './segment.ts';
import { Segments } from './segments.ts';
import type { Settings } from './settings.ts';
import { Writer } from './writer.ts';

const PART_BYTES = 1024 * 1024;

export class MyEngine implements StorageEngine {
  readonly #ctx: EngineContext<Settings>;
  readonly #log: Log;
  readonly #segments: Segments;
  readonly #writers = new Map<string, Writer>();
  readonly #credit: Credit;
  readonly #lock: { release(): Promise<void> };
  /** Ids that are being made: whoever asks for one meanwhile waits. */
  readonly #making = new Map<string, Promise<unknown>>();
  #closing: Promise<void> | undefined;

  static async open(ctx: EngineContext<Settings>): Promise<MyEngine> {
    const dir = ctx.config.dir ?? ctx.dir;
    await ctx.fs.mkdir(dir);
    const lock = await ctx.lock(dir);
    try {
      const segments = new Segments();
      const log = await Log.open(ctx, dir, (frame, at) => segments.apply(frame, at));
      return new MyEngine(ctx, lock, log, segments);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  private constructor(ctx: EngineContext<Settings>, lock: { release(): Promise<void> }, log: Log, segments: Segments) {
    this.#ctx = ctx;
    this.#lock = lock;
    this.#log = log;
    this.#segments = segments;
    this.#credit = new Credit(ctx.config.windowBytes);
  }

  /** Made with the file, and in it: another file is another medium. */
  get incarnation(): string {
    return this.#log.incarnation;
  }

  create(id: string, { base, epoch, state }: CreateOptions): Promise<SegmentWriter> {
    return this.#alone(id, async () => {
      if (this.#segments.get(id) !== undefined) throw exists(id);
      await this.#log.append('create', id, { base, epoch }, [state]);
      const writer = new Writer(id, this.#find(id), this.#log, this.#credit);
      this.#writers.set(id, writer);
      return writer;
    });
  }

  async recover(id: string, { epoch }: { readonly epoch: number }): Promise<{ readonly end: number }> {
    const segment = this.#find(id);
    if (epoch < segment.epoch)
      throw new StorageError('FENCED', `epoch ${segment.epoch} has the segment`, { where: id, outcome: 'none' });
    // from here on nothing more gets into the log; what is in it already lies in front of the seal
    this.#writers.get(id)?.fence(`epoch ${epoch} has taken the segment over`);
    if (!segment.sealed || epoch > segment.epoch) await this.#log.append('seal', id, { epoch });
    return { end: segment.end };
  }

  ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    return this.#alone(id, async () => {
      const before = this.#segments.get(id);
      if (before !== undefined && before.uid !== options.uid) throw exists(id);
      if (before !== undefined) return { bytes: before.bytes, crc: before.crc };
      const { base, end, epoch, state, uid } = options;
      const attempt = this.#ctx.random.uuid();
      try {
        for await (const chunk of batches)
          for (const part of partsOf(chunk)) await this.#log.append('part', '', { attempt }, [part]);
        // data first, then the one frame that makes it a segment
        await this.#log.append('publish', id, { base, end, epoch, uid, attempt }, [state]);
      } finally {
        this.#segments.dropAttempt(attempt);
      }
      const { bytes, crc } = this.#find(id);
      return { bytes, crc };
    });
  }

  async openReader(id: string): Promise<SegmentReader> {
    const segment = this.#find(id);
    if (segment.sealed) return new Reader(segment, this.#log);
    throw new StorageError('SEGMENT_NOT_SEALED', 'an open segment is read through its writer', { where: id });
  }

  async delete(id: string): Promise<void> {
    if (this.#segments.get(id) === undefined) return;
    this.#writers.get(id)?.fence('the segment has been deleted');
    this.#writers.delete(id);
    await this.#log.append('delete', id, {});
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after, limit } = options;
    const wanted = (id: string): boolean => id.startsWith(prefix) && (after === undefined || id > after);
    return this.#segments.ids().filter(wanted).slice(0, limit);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#credit.end(new StorageError('CLOSED', 'the engine is closed'));
    try {
      await this.#log.close();
    } finally {
      await this.#lock.release();
    }
  }

  /** The file has every segment there ever was, so what is not in it never was here, or was deleted. */
  #find(id: string): Segment {
    const segment = this.#segments.get(id);
    if (segment === undefined) throw new StorageError('SEGMENT_UNKNOWN', 'there is no such segment', { where: id });
    return segment;
  }

  async #alone<T>(id: string, run: () => Promise<T>): Promise<T> {
    const before = this.#making.get(id) ?? Promise.resolve();
    const turn = before.then(run);
    const over = turn.catch(() => {});
    this.#making.set(id, over);
    try {
      return await turn;
    } finally {
      if (this.#making.get(id) === over) this.#making.delete(id);
    }
  }
}

function exists(id: string): StorageError {
  return new StorageError('SEGMENT_EXISTS', 'there is such a segment', { where: id });
}

/** Whole batches, in pieces that are not too large for a frame. */
function partsOf(chunk: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  forEachBatch(chunk, (header, at) => {
    if (at + header.bytes - from < PART_BYTES) return;
    parts.push(chunk.subarray(from, at + header.bytes));
    from = at + header.bytes;
  });
  return from < chunk.length ? [...parts, chunk.subarray(from)] : parts;
}
