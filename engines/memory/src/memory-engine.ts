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
import { Budget } from './budget.ts';
import type { MemoryConfig } from './index.ts';
import { MemoryReader } from './memory-reader.ts';
import { MemoryWriter } from './memory-writer.ts';
import { Segment, SLAB_BYTES } from './segment.ts';

/** One segment may take this part of the limit: whole segments are all that core can drop when memory runs short. */
const SHARES = 8;

interface Held {
  readonly segment: Segment;
  readonly writer: MemoryWriter | undefined;
  /** The highest one that has asked for the segment. */
  epoch: number;
  readonly uid: string | undefined;
}

export class MemoryEngine implements StorageEngine {
  /** The medium is this process's memory, and begins empty each time. */
  readonly incarnation: string;
  readonly #held = new Map<string, Held>();
  readonly #budget: Budget;
  readonly #shareBytes: number;

  constructor(ctx: EngineContext<MemoryConfig>) {
    const { limitBytes } = ctx.config;
    this.incarnation = ctx.random.uuid();
    this.#budget = new Budget(limitBytes, SLAB_BYTES, ctx.instance, (report) => ctx.health(report), ctx.metrics);
    this.#shareBytes = Math.floor(limitBytes / SHARES);
    ctx.metrics.gauge('robust_memory_engine_segments', 'Segments held in memory', () => this.#held.size, {
      instance: ctx.instance,
    });
  }

  async create(id: string, options: CreateOptions): Promise<SegmentWriter> {
    this.#refuseExisting(id);
    if (!this.#budget.hasRoom(options.state.length)) throw this.#budget.full(id);
    const segment = new Segment(options.base, options.state, this.#budget);
    const writer = new MemoryWriter(id, segment, this.#budget, this.#shareBytes);
    this.#held.set(id, { segment, writer, epoch: options.epoch, uid: undefined });
    return writer;
  }

  async recover(id: string, options: { readonly epoch: number }): Promise<{ readonly end: number }> {
    const held = this.#find(id);
    if (options.epoch < held.epoch)
      throw new StorageError('FENCED', `Epoch ${held.epoch} has the segment`, { where: id, outcome: 'none' });
    held.epoch = options.epoch;
    held.writer?.fence(fenced(id, `Epoch ${options.epoch} took the segment over`));
    held.segment.sealed = true;
    return { end: held.segment.end };
  }

  async ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    const before = this.#ingested(id, options.uid);
    if (before !== undefined) return before;
    if (!this.#budget.hasRoom(options.state.length)) throw this.#budget.full(id);
    const segment = new Segment(options.base, options.state, this.#budget);
    try {
      for await (const chunk of batches) {
        forEachBatch(chunk, (header, at) => {
          if (!this.#budget.hasRoom(header.bytes)) throw this.#budget.full(id);
          segment.putAndDigest(chunk.subarray(at, at + header.bytes));
        });
      }
      segment.end = options.end;
      segment.sealed = true;
      // another attempt may have been faster
      const meanwhile = this.#ingested(id, options.uid);
      if (meanwhile === undefined) {
        this.#held.set(id, { segment, writer: undefined, epoch: options.epoch, uid: options.uid });
        return { bytes: segment.bytes, crc: segment.digest };
      }
      segment.drop();
      return meanwhile;
    } catch (error) {
      segment.drop();
      throw error;
    }
  }

  async openReader(id: string): Promise<SegmentReader> {
    const { segment } = this.#find(id);
    if (!segment.sealed)
      throw new StorageError('SEGMENT_NOT_SEALED', 'An open segment is read through its writer', { where: id });
    return new MemoryReader(segment);
  }

  async delete(id: string): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    held.writer?.fence(fenced(id, 'The segment has been deleted'));
    held.segment.drop();
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after, limit } = options;
    return [...this.#held.keys()]
      .filter((id) => id.startsWith(prefix) && (after === undefined || id > after))
      .sort()
      .slice(0, limit);
  }

  async close(): Promise<void> {
    this.#budget.refuseWaiters(new StorageError('CLOSED', 'The engine is closed'));
    for (const { segment } of this.#held.values()) segment.drop();
    this.#held.clear();
  }

  /** What this engine does not hold may have been in an earlier process: it can't tell, and lost is what it must say. */
  #find(id: string): Held {
    const held = this.#held.get(id);
    if (held !== undefined) return held;
    throw new StorageError('SEGMENT_LOST', 'The segment is not in this memory', {
      where: id,
      hint: 'Segments in memory go with the process that wrote them',
    });
  }

  #refuseExisting(id: string): void {
    if (this.#held.has(id)) throw new StorageError('SEGMENT_EXISTS', 'There is such a segment', { where: id });
  }

  #ingested(id: string, uid: string): IngestResult | undefined {
    const held = this.#held.get(id);
    if (held === undefined) return undefined;
    if (held.uid !== uid) this.#refuseExisting(id);
    return { bytes: held.segment.bytes, crc: held.segment.digest };
  }
}

function fenced(id: string, message: string): StorageError {
  // nothing is in flight here, so what comes after was certainly not applied
  return new StorageError('FENCED', message, { where: id, outcome: 'none' });
}
