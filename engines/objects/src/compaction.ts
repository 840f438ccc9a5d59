/**
 * Makes one image of a sealed segment's runs, so that it can be read in large pieces, and the write-ahead objects can go. Each byte is written once
 * more, and never again. The steps, any of which may be the last before a crash: image -> its row, in place of the one that says
 * "runs" -> the rows of the runs go -> objects that nothing leads to any more are deleted.
 */
import { isStorageError } from '@robustmq/core';
import type { Environment } from './environment.ts';
import { type Images, SMALL_IMAGE_BYTES } from './images.ts';
import { pointerKey, type SegmentRow } from './meta/rows.ts';
import type { Segments } from './segment/segments.ts';

/** Small segments wait until so many bytes of them can share an object, */
export const SHARE_BYTES: number = 4 * 1024 * 1024;
/** or until the oldest has waited for so long: until then it keeps write-ahead objects alive. */
export const SHARE_AFTER_MS: number = 10 * 60 * 1000;
/** Rows of one commit. */
const ROWS = 100;

interface Candidate {
  /** Monotonic ms. */
  readonly since: number;
  readonly bytes: number;
}

export class Compaction {
  readonly #environment: Environment;
  readonly #segments: Segments;
  readonly #images: Images;
  readonly #candidates = new Map<string, Candidate>();
  /** What is compacted at the moment: by housekeeping, or because somebody asks for its place. */
  readonly #running = new Map<string, Promise<void>>();

  constructor(environment: Environment, segments: Segments, images: Images) {
    this.#environment = environment;
    this.#segments = segments;
    this.#images = images;
  }

  get waiting(): number {
    return this.#candidates.size;
  }

  /** A segment was sealed, with so many bytes in runs. */
  add(id: string, bytes: number): void {
    // an empty one has nothing to move
    if (bytes > 0) this.#candidates.set(id, { since: this.#environment.clock.monotonic(), bytes });
  }

  forget(id: string): void {
    this.#candidates.delete(id);
  }

  /** Compacts what is worth it now, until `requests` are used up or `signal` aborts. @returns requests made, about */
  async run(requests: number, signal: AbortSignal): Promise<number> {
    let used = 0;
    for (const id of this.#due()) {
      // a read and a put, at the least
      if (used + 2 > requests || signal.aborted) break;
      const bytes = this.#candidates.get(id)?.bytes ?? 0;
      used += 2 + 2 * Math.ceil(bytes / this.#environment.partBytes);
      try {
        await this.compact(id);
      } catch (error) {
        if (isStorageError(error, 'CLOSED')) return used;
        this.#environment.logger.warn({ segment: id, err: error }, 'a segment could not be compacted yet');
      }
    }
    return used;
  }

  /** @throws SEGMENT_LOST, CORRUPT, IO_ERROR ...: the runs stay as they are */
  compact(id: string): Promise<void> {
    const running = this.#running.get(id) ?? this.#compact(id).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    return running;
  }

  /** Large ones at once; small ones together, or when they have waited long enough. */
  #due(): string[] {
    const now = this.#environment.clock.monotonic();
    const entries = [...this.#candidates];
    const large = entries.filter(([, { bytes }]) => bytes >= SMALL_IMAGE_BYTES);
    const small = entries.filter(([, { bytes }]) => bytes < SMALL_IMAGE_BYTES);
    const bytes = small.reduce((sum, [, one]) => sum + one.bytes, 0);
    const isLate = small.some(([, { since }]) => now - since >= SHARE_AFTER_MS);
    return [...large, ...(bytes >= SHARE_BYTES || isLate ? small : [])].map(([id]) => id);
  }

  async #compact(id: string): Promise<void> {
    const found = await this.#segments.find(id);
    if (found === undefined || found.row.end < 0 || found.row.place !== undefined) {
      this.#candidates.delete(id);
      return;
    }
    const { row, revision } = found;
    const pointers = await this.#segments.pointers(id, found);
    // somebody else was first: the next round sees what became of it
    if (pointers === undefined) return;
    const log = this.#segments.log(id, row.base, pointers);
    const content = this.#segments.content(row, log);
    const { uid, base, end, epoch, ingest, life } = row;
    const { committed } = await this.#images.put({
      id,
      range: { base, end, epoch },
      uid,
      state: await content.state(),
      batches: log.batches(),
      bytes: log.bytes,
      lane: 'upkeep',
      revision,
      row: (place): SegmentRow => ({ uid, life, base, end, epoch, place, ...(ingest === undefined ? {} : { ingest }) }),
    });
    this.#candidates.delete(id);
    // it was deleted, or fenced by a later epoch: whoever did that goes on with it
    if (!committed) return;
    if (row.stateObject !== undefined) this.#environment.objects.released(row.stateObject.object, uid);
    await this.dropRuns(uid, pointers);
  }

  /** The rows of runs that nothing needs any more, and then, when they were the last, their objects. */
  async dropRuns(uid: string, pointers: readonly { readonly object: string; readonly base: number }[]): Promise<void> {
    const { meta, random, objects } = this.#environment;
    for (let at = 0; at < pointers.length; at += ROWS) {
      const some = pointers.slice(at, at + ROWS);
      await meta.commit({ id: random.uuid(), deletes: some.map(({ base }) => pointerKey(uid, base)) });
    }
    for (const { object } of pointers) objects.released(object, uid);
  }
}
