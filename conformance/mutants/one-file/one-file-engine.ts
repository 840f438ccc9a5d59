import {
  type CreateOptions,
  type EngineContext,
  forEachBatch,
  headerDigest,
  type IngestOptions,
  type IngestResult,
  nextOffset,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import type { Frame, OneFileLog, Step } from './one-file-log.ts';
import { OneFileReader } from './one-file-reader.ts';
import { OneFileWriter } from './one-file-writer.ts';

/** One batch: offsets, the place in the file, the largest timestamp. As numbers in a row, since it goes into frames. */
export type Entry = readonly [base: number, next: number, position: number, bytes: number, maxTimestamp: number];

export interface Segment {
  readonly id: string;
  readonly base: number;
  readonly state: Uint8Array;
  readonly entries: Entry[];
  epoch: number;
  end: number;
  sealed: boolean;
  gone: boolean;
  readonly taken: ({ readonly uid: string } & IngestResult) | undefined;
}

/**
 * The smallest engine that keeps every promise it makes, as the sound thing to break: everything lies in one append-only file, what is where is
 * in memory, and the same steps that run when a frame is on the disk run again when the file is read. Space is never given back.
 */
export class OneFileEngine implements StorageEngine {
  incarnation = '';
  readonly segments: Map<string, Segment> = new Map();
  protected readonly log: OneFileLog;
  readonly #ctx: EngineContext;
  readonly #lock: { release(): Promise<void> };
  readonly #writers = new Map<string, OneFileWriter>();
  /** Ids that are on their way into the file. */
  readonly #making = new Set<string>();

  constructor(log: OneFileLog, ctx: EngineContext, lock: { release(): Promise<void> }) {
    this.log = log;
    this.#ctx = ctx;
    this.#lock = lock;
  }

  async start(): Promise<void> {
    await this.log.start((frame) => this.replay(frame));
    const isNew = this.incarnation === '';
    if (isNew) {
      this.incarnation = this.#ctx.random.uuid();
      await this.log.write({ does: 'begin', incarnation: this.incarnation });
    }
    await this.syncFile(isNew);
  }

  /** Whoever wrote before may have been killed: what is found is in the kernel, and not on the disk for certain, name and all. */
  protected async syncFile(isNew: boolean): Promise<void> {
    if (!isNew) await this.log.syncFound();
    await this.#ctx.fs.syncDirectory(this.#ctx.dir);
  }

  async create(id: string, { base, epoch, state }: CreateOptions): Promise<SegmentWriter> {
    this.refuseExisting(id);
    this.#making.add(id);
    await this.write({ does: 'create', id, base, epoch }, state.slice()).finally(() => this.#making.delete(id));
    const segment = this.find(id);
    // a copy was faster
    if (segment.taken !== undefined) throw exists(id);
    const writer = this.writerOf(segment);
    this.#writers.set(id, writer);
    return writer;
  }

  async recover(id: string, { epoch }: { readonly epoch: number }): Promise<{ readonly end: number }> {
    const segment = this.find(id);
    if (epoch >= segment.epoch && !(segment.sealed && epoch === segment.epoch)) {
      this.fence(id, `Epoch ${epoch} took the segment over`);
      await this.write({ does: 'recover', id, epoch });
    }
    // another one may have been faster
    if (epoch < segment.epoch) throw fenced(`Epoch ${segment.epoch} has the segment`, id);
    return { end: this.find(id).end };
  }

  async ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    const { base, end, epoch, state, uid } = options;
    const before = this.segments.get(id)?.taken;
    if (before?.uid === uid) return { bytes: before.bytes, crc: before.crc };
    this.refuseExisting(id);
    const entries: Entry[] = [];
    let [bytes, crc] = [0, 0];
    for await (const chunk of batches) {
      entries.push(...entriesOf(chunk, await this.write({ does: 'part' }, chunk)));
      bytes += chunk.length;
      forEachBatch(chunk, (_, at) => {
        crc = headerDigest(crc, chunk, at);
      });
    }
    const step = { does: 'publish', id, base, end, epoch, uid, bytes, crc, entries: entries.flat() };
    await this.write(step, state.slice());
    const { taken } = this.find(id);
    if (taken?.uid !== uid) throw exists(id);
    return { bytes: taken.bytes, crc: taken.crc };
  }

  async openReader(id: string): Promise<SegmentReader> {
    const segment = this.find(id);
    if (!segment.sealed) throw new StorageError('SEGMENT_NOT_SEALED', 'It is read through its writer', { where: id });
    return this.readerOf(segment);
  }

  async delete(id: string): Promise<void> {
    if (!this.segments.has(id)) return;
    this.fence(id, 'The segment has been deleted');
    await this.write({ does: 'delete', id });
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after = '', limit } = options;
    return [...this.segments.keys()]
      .filter((id) => id.startsWith(prefix) && id > after)
      .sort()
      .slice(0, limit);
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.#lock.release();
  }

  /** Resolves when the step is on the disk and has been done. */
  async write(step: Step, ...payload: readonly Uint8Array[]): Promise<number> {
    const position = await this.log.write(step, ...payload);
    this.apply({ step, payload: payload[0] ?? new Uint8Array(0), position }, payload);
    return position;
  }

  /** What a frame does when the file is read at the start. */
  protected replay(frame: Frame): void {
    this.apply(frame, [frame.payload]);
  }

  protected writerOf(segment: Segment): OneFileWriter {
    return new OneFileWriter(segment, this, this.log);
  }

  protected readerOf(segment: Segment): OneFileReader {
    return new OneFileReader(segment, this.log);
  }

  protected fence(id: string, why: string): void {
    this.#writers.get(id)?.fail(fenced(why, id));
    this.#writers.delete(id);
  }

  protected find(id: string): Segment {
    const segment = this.segments.get(id);
    if (segment === undefined) throw new StorageError('SEGMENT_UNKNOWN', 'There is no such segment', { where: id });
    return segment;
  }

  protected refuseExisting(id: string): void {
    if (this.segments.has(id) || this.#making.has(id)) throw exists(id);
  }

  /** The only place that changes what is known. A step that has no place any more does nothing. */
  protected apply({ step, payload, position }: Frame, parts: readonly Uint8Array[]): void {
    const id = String(step.id);
    const segment = this.segments.get(id);
    if (step.does === 'begin') this.incarnation = String(step.incarnation);
    else if (step.does === 'create' && segment === undefined)
      this.segments.set(id, { ...opened(step, payload), end: Number(step.base), sealed: false, taken: undefined });
    else if (step.does === 'publish' && segment === undefined)
      this.segments.set(id, {
        ...opened(step, payload),
        entries: rows(step.entries as readonly number[]), // as `ingest` wrote it
        end: Number(step.end),
        sealed: true,
        taken: { uid: String(step.uid), bytes: Number(step.bytes), crc: Number(step.crc) },
      });
    else if (segment === undefined) return;
    else if (step.does === 'append' && !segment.sealed && segment.end === step.base) {
      let at = position;
      for (const part of parts) {
        segment.entries.push(...entriesOf(part, at));
        at += part.length;
      }
      segment.end = segment.entries.at(-1)?.[1] ?? segment.end;
    } else if (step.does === 'seal') segment.sealed = true;
    else if (step.does === 'recover') {
      segment.epoch = Math.max(segment.epoch, Number(step.epoch));
      segment.sealed = true;
    } else if (step.does === 'delete') {
      segment.gone = true;
      this.segments.delete(id);
    }
  }
}

function opened(step: Step, state: Uint8Array): Pick<Segment, 'id' | 'base' | 'epoch' | 'state' | 'entries' | 'gone'> {
  const { id, base, epoch } = step;
  return { id: String(id), base: Number(base), epoch: Number(epoch), state: state.slice(), entries: [], gone: false };
}

function entriesOf(bytes: Uint8Array, position: number): Entry[] {
  const found: Entry[] = [];
  forEachBatch(bytes, (header, at) =>
    found.push([header.baseOffset, nextOffset(header), position + at, header.bytes, header.maxTimestamp]),
  );
  return found;
}

function rows(flat: readonly number[]): Entry[] {
  return Array.from({ length: flat.length / 5 }, (_, i) => flat.slice(i * 5, i * 5 + 5) as unknown as Entry); // five a row
}

function fenced(message: string, where: string): StorageError {
  return new StorageError('FENCED', message, { where, outcome: 'none' });
}

function exists(where: string): StorageError {
  return new StorageError('SEGMENT_EXISTS', 'There is such a segment', { where });
}
