import { type SegmentReader, type SegmentState, StorageError } from '@robustmq/core';
import type { Environment } from '../environment.ts';
import { stateObject } from '../keys.ts';
import { fencedLife } from '../meta/life.ts';
import {
  objectCodec,
  objectKey,
  type PointerRow,
  pointerCodec,
  pointerPrefix,
  type SegmentRow,
  segmentCodec,
  segmentKey,
} from '../meta/rows.ts';
import { PointerLog } from './pointers.ts';
import { type Content, SegmentView, ViewReader } from './view.ts';

/** A state up to this size lies in the segment's row; a larger one in an object. */
const INLINE_STATE_BYTES = 8 * 1024;

export interface FoundSegment {
  readonly row: SegmentRow;
  readonly revision: number;
}

/** The rows of segments, and what they lead to. */
export class Segments {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  async find(id: string): Promise<FoundSegment | undefined> {
    const entry = await this.#environment.meta.get(segmentKey(id));
    if (entry === undefined) return undefined;
    return { row: segmentCodec.decode(entry.value, entry.key), revision: entry.revision };
  }

  /** @throws SEGMENT_UNKNOWN */
  async get(id: string): Promise<FoundSegment> {
    const found = await this.find(id);
    if (found === undefined) throw new StorageError('SEGMENT_UNKNOWN', 'Meta knows of no such segment', { where: id });
    return found;
  }

  /**
   * Writes the row if it is still as it was at `revision` (0: if there is none). @returns the row's new revision, or `undefined`
   * @throws FENCED when another process has taken this one's place
   */
  async replace(id: string, row: SegmentRow, revision: number): Promise<number | undefined> {
    const { meta, life, random, objects } = this.#environment;
    const key = segmentKey(id);
    const puts = [{ key, value: segmentCodec.encode(row) }];
    const { object, strayed } = row.stateObject ?? {};
    if (object !== undefined)
      puts.push({
        key: objectKey(object),
        value: objectCodec.encode({
          kind: 'state',
          state: 'stored',
          life: life.name,
          ...(strayed === true ? { strayed } : {}),
        }),
      });
    const result = await meta.commit({ id: random.uuid(), guards: [{ key, revision }, life.guard], puts });
    // it was another process that put it, and this one that will delete it
    if (object !== undefined && strayed === true) this.#environment.strayed(object);
    if (object !== undefined && (result.ok || revision === 0)) objects.stored(object, result.ok ? [row.uid] : []);
    // whoever tries again finds the segment as it was, for ever
    if (!result.ok && result.key === life.guard.key) throw fencedLife(life.name);
    return result.ok ? result.revision : undefined;
  }

  /** What Meta has of a segment's runs now, by offset. */
  async runs(uid: string): Promise<PointerRow[]> {
    const pointers: PointerRow[] = [];
    for await (const entry of this.#environment.meta.rows(pointerPrefix(uid)))
      pointers.push(pointerCodec.decode(entry.value, entry.key));
    return pointers;
  }

  /**
   * The runs of a segment in order, all of them. The rows of runs go one after the other once an image has taken their place, so that some may be
   * missing to whoever has read the segment's row before. @returns `undefined` if that was so: the row has changed
   * @throws CORRUPT when one is missing, and nobody has taken it away
   */
  async pointers(id: string, { row, revision }: FoundSegment): Promise<PointerRow[] | undefined> {
    const pointers = await this.runs(row.uid);
    let next = row.base;
    let gap: PointerRow | undefined;
    for (const pointer of pointers) {
      if (pointer.base !== next) {
        gap = pointer;
        break;
      }
      next = pointer.next;
    }
    // an open one ends where its runs do
    if (gap === undefined && (row.end < 0 || row.end === next)) return pointers;
    const now = await this.find(id);
    if (now?.revision !== revision) return undefined;
    const rest = gap === undefined ? `of ${row.end}` : `and from ${gap.base}`;
    throw new StorageError('CORRUPT', `Meta has runs up to ${next} ${rest}`, { where: id });
  }

  log(id: string, base: number, pointers: readonly PointerRow[]): PointerLog {
    return new PointerLog(id, base, pointers, this.#environment.readRuns(id));
  }

  /** @throws SEGMENT_UNKNOWN, SEGMENT_NOT_SEALED, SEGMENT_LOST, CORRUPT */
  async openReader(id: string): Promise<SegmentReader> {
    const { row, content } = await this.#located(id);
    if (row.end < 0)
      throw new StorageError('SEGMENT_NOT_SEALED', 'An open segment is read through its writer', { where: id });
    return new ViewReader({ base: row.base, end: row.end }, this.view(id, content));
  }

  view(id: string, content: Content): SegmentView {
    return new SegmentView(content, async () => (await this.#located(id)).content);
  }

  content(row: SegmentRow, log: PointerLog): Extract<Content, { readonly kind: 'runs' }> {
    return { kind: 'runs', log, state: () => this.#state(row) };
  }

  /** Stores a state in front of the row that leads to it. @returns the fields of the row */
  async putState(id: string, state: SegmentState): Promise<Pick<SegmentRow, 'state' | 'stateObject'>> {
    if (state.length <= INLINE_STATE_BYTES) return { state: Buffer.from(state).toString('base64') };
    const { random, meta, life, names, store } = this.#environment;
    const uid = random.uuid();
    const object = stateObject(id, uid);
    const planned = objectCodec.encode({ kind: 'state', state: 'planned', life: life.name });
    const puts = [{ key: objectKey(object), value: planned }];
    const plan = await meta.commit({ id: random.uuid(), guards: [life.guard], puts });
    if (!plan.ok) throw fencedLife(life.name);
    let strayed = false;
    try {
      await store.put(names.keyOf(object), [state], uid, {
        for: [{ segment: id, share: 1 }],
        strayed: () => {
          strayed = true;
          this.#environment.strayed(object);
        },
      });
    } catch (error) {
      this.#environment.doubt(object);
      throw error;
    }
    return { stateObject: { object, bytes: state.length, ...(strayed ? { strayed } : {}) } };
  }

  async #located(id: string): Promise<{ readonly row: SegmentRow; readonly content: Content }> {
    for (;;) {
      const found = await this.get(id);
      const { row } = found;
      if (row.place !== undefined)
        return { row, content: { kind: 'image', image: await this.#environment.openImage(id, row, row.place) } };
      const pointers = await this.pointers(id, found);
      if (pointers !== undefined) return { row, content: this.content(row, this.log(id, row.base, pointers)) };
    }
  }

  async #state(row: SegmentRow): Promise<SegmentState> {
    const { names, store } = this.#environment;
    if (row.stateObject !== undefined)
      return await store.getRange(names.keyOf(row.stateObject.object), 0, row.stateObject.bytes);
    return Buffer.from(row.state ?? '', 'base64');
  }
}
