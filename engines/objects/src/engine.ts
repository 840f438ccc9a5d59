/**
 * Segments in an object store. An open segment is a row in Meta and runs of its batches in write-ahead objects that all segments of the node share;
 * a sealed one becomes one image. Whoever rewrites the segment's row has fenced its writer, without a word to it: every run is committed
 * under that row as it was.
 */
import { createHash } from 'node:crypto';
import {
  type ArchivePlace,
  type ArchiveShelf,
  type CreateOptions,
  type IngestOptions,
  type IngestResult,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import type { Compaction } from './compaction.ts';
import type { Environment } from './environment.ts';
import type { Images } from './images.ts';
import { ingest } from './ingest.ts';
import { manifestObject } from './keys.ts';
import type { GrowingFile } from './log/growing-file.ts';
import type { LogWriter } from './log/log-writer.ts';
import type { Window } from './log/window.ts';
import type { Medium } from './medium.ts';
import { SEGMENT_PREFIX, type SegmentRow, segmentKey } from './meta/rows.ts';
import type { FoundSegment, Segments } from './segment/segments.ts';
import { ObjectWriter } from './segment/writer.ts';
import type { Sweeper } from './sweeper.ts';

export interface EngineParts {
  readonly incarnation: string;
  readonly environment: Environment;
  readonly segments: Segments;
  readonly images: Images;
  readonly compaction: Compaction;
  readonly sweeper: Sweeper;
  readonly log: LogWriter;
  readonly window: Window;
  readonly medium: Medium;
  /** Files that are appended to. */
  readonly growing: readonly GrowingFile[];
}

export class ObjectEngine implements StorageEngine {
  readonly incarnation: string;
  readonly #parts: EngineParts;
  readonly #environment: Environment;
  readonly #segments: Segments;
  readonly #writers = new Map<string, ObjectWriter>();
  #closed = false;

  constructor(parts: EngineParts) {
    this.incarnation = parts.incarnation;
    this.#parts = parts;
    this.#environment = parts.environment;
    this.#segments = parts.segments;
  }

  get shelf(): ArchiveShelf {
    return {
      place: (id) => this.#place(id),
      putManifest: (number, bytes) => this.#putManifest(number, bytes),
      deleteManifest: (number) => this.#deleteManifest(number),
    };
  }

  async create(id: string, { base, epoch, state }: CreateOptions): Promise<SegmentWriter> {
    await this.#parts.medium.confirmed();
    const { random, life } = this.#environment;
    const uid = random.uuid();
    const row: SegmentRow = {
      uid,
      life: life.name,
      base,
      epoch,
      end: -1,
      ...(await this.#segments.putState(id, state)),
    };
    const revision = await this.#segments.replace(id, row, 0);
    if (revision === undefined) throw await this.#refusal(id);
    const log = this.#segments.log(id, base, []);
    const writer = new ObjectWriter({
      id,
      uid,
      base,
      revision,
      window: this.#parts.window,
      log,
      view: this.#segments.view(id, this.#segments.content(row, log)),
      dispatch: (entry) => this.#parts.log.append(entry),
      commitSeal: async (end) => {
        const sealed = await this.#segments.replace(id, { ...row, end }, revision);
        if (sealed === undefined)
          throw new StorageError('FENCED', 'Another owner has the segment, or it is gone', { where: id });
        this.#parts.compaction.add(id, log.bytes);
        this.#writers.delete(id);
      },
      closed: () => void this.#writers.delete(id),
    });
    this.#writers.set(id, writer);
    return writer;
  }

  async recover(id: string, { epoch }: { readonly epoch: number }): Promise<{ readonly end: number }> {
    for (;;) {
      const { row, revision } = await this.#segments.get(id);
      if (epoch < row.epoch)
        throw new StorageError('FENCED', `Epoch ${row.epoch} has the segment`, { where: id, outcome: 'none' });
      if (row.end >= 0 && row.epoch === epoch) return { end: row.end };
      // from this commit on no run of a former writer is committed
      const fenced: SegmentRow = { ...row, epoch };
      const fence = await this.#segments.replace(id, fenced, revision);
      if (fence === undefined) continue;
      this.#writers.get(id)?.fail(new StorageError('FENCED', `Epoch ${epoch} took the segment over`, { where: id }));
      if (row.end >= 0) return { end: row.end };
      const end = await this.#seal(id, { row: fenced, revision: fence });
      if (end !== undefined) return { end };
    }
  }

  async #seal(id: string, found: FoundSegment): Promise<number | undefined> {
    const { row, revision } = found;
    const pointers = await this.#segments.pointers(id, found);
    if (pointers === undefined) return undefined;
    const end = pointers.at(-1)?.next ?? row.base;
    const sealed = await this.#segments.replace(id, { ...row, end, life: this.#environment.life.name }, revision);
    if (sealed === undefined) return undefined;
    this.#writers.delete(id);
    this.#parts.compaction.add(
      id,
      pointers.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    return end;
  }

  async ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    await this.#parts.medium.confirmed();
    return await ingest(this.#parts, id, options, batches);
  }

  async openReader(id: string): Promise<SegmentReader> {
    await this.#parts.medium.confirmed();
    return await this.#segments.openReader(id);
  }

  async delete(id: string): Promise<void> {
    const { meta, random, objects } = this.#environment;
    for (let found = await this.#segments.find(id); found !== undefined; found = await this.#segments.find(id)) {
      const { row, revision } = found;
      const key = segmentKey(id);
      const result = await meta.commit({ id: random.uuid(), guards: [{ key, revision }], deletes: [key] });
      if (!result.ok) continue;
      this.#writers.get(id)?.fail(new StorageError('FENCED', 'The segment has been deleted', { where: id }));
      this.#writers.delete(id);
      this.#parts.compaction.forget(id);
      if (row.place !== undefined) objects.released(row.place.object, row.uid);
      if (row.stateObject !== undefined) objects.released(row.stateObject.object, row.uid);
      // a run that was on its way failed with the row: these are all
      await this.#parts.compaction.dropRuns(row.uid, await this.#segments.runs(row.uid));
    }
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after, limit } = options;
    const ids: string[] = [];
    const from = after === undefined ? undefined : segmentKey(after);
    for await (const { key } of this.#environment.meta.rows(segmentKey(prefix), from)) {
      ids.push(key.slice(SEGMENT_PREFIX.length));
      if (ids.length >= limit) break;
    }
    return ids;
  }

  async maintain(options: { readonly requestBudget: number; readonly signal: AbortSignal }): Promise<void> {
    const { requestBudget, signal } = options;
    await untilAborted(this.#maintain(requestBudget, signal), signal);
  }

  async #maintain(requests: number, signal: AbortSignal): Promise<void> {
    await this.#parts.medium.confirmed();
    const used = await this.#parts.compaction.run(requests, signal);
    if (!signal.aborted) await this.#parts.sweeper.run(requests - used, signal);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { store, meta } = this.#environment;
    const error = new StorageError('CLOSED', 'The engine is closed', { outcome: 'unknown' });
    for (const writer of this.#writers.values()) writer.fail(error);
    this.#parts.window.refuse(error);
    this.#parts.medium.close();
    meta.close();
    const growing = this.#parts.growing.map((file) => file.close());
    await Promise.all([this.#parts.log.close(), this.#parts.images.close(), store.close(), ...growing]);
  }

  /** Where the image of a sealed segment lies; one that has none yet gets one. */
  async #place(id: string): Promise<ArchivePlace> {
    for (;;) {
      const { row } = await this.#segments.get(id);
      if (row.end < 0) throw new StorageError('SEGMENT_NOT_SEALED', 'It is still being written', { where: id });
      if (row.place !== undefined) return { ...row.place, uid: row.uid };
      await this.#parts.compaction.compact(id);
    }
  }

  async #putManifest(number: number, bytes: Uint8Array): Promise<void> {
    const { names, store } = this.#environment;
    // one that lies there with the same bytes is taken for this one, whoever has put it
    const uid = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
    await store.put(names.keyOf(manifestObject(number)), [bytes], uid);
  }

  async #deleteManifest(number: number): Promise<void> {
    const { names, store } = this.#environment;
    await store.delete(names.keyOf(manifestObject(number)));
  }

  async #refusal(id: string): Promise<StorageError> {
    if ((await this.#segments.find(id)) !== undefined)
      return new StorageError('SEGMENT_EXISTS', 'There is such a segment', { where: id });
    return new StorageError('FENCED', 'Another process writes for this node', { where: id, outcome: 'none' });
  }
}

/** Whoever waits need not wait any longer: the work stops at its next step, or when the engine is closed. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let leave = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    leave = resolve;
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) resolve();
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', leave);
    work.catch(() => {}); // nobody waits for it any more
  }
}
