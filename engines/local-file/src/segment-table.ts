import type { SegmentId } from '@robustmq/core';
import type { OpenSegment } from './segment/open-segment.ts';

/** All segments about which the write-ahead log still has something to say. */
export class SegmentTable {
  readonly #byId = new Map<SegmentId, OpenSegment>();
  readonly #byNumber = new Map<number, OpenSegment>();
  readonly #dirty = new Set<OpenSegment>();
  nextNumber = 1;
  /** Something was lost of which nobody knows what: an id that is not found may have been there. */
  suspect = false;

  get size(): number {
    return this.#byId.size;
  }

  get(id: SegmentId): OpenSegment | undefined {
    return this.#byId.get(id);
  }

  byNumber(number: number): OpenSegment | undefined {
    return this.#byNumber.get(number);
  }

  add(segment: OpenSegment): void {
    this.#byId.set(segment.id, segment);
    // 0: ingested, the log never speaks of it by number
    if (segment.number > 0) this.#byNumber.set(segment.number, segment);
    this.nextNumber = Math.max(this.nextNumber, segment.number + 1);
  }

  remove(segment: OpenSegment): void {
    if (this.#byId.get(segment.id) === segment) this.#byId.delete(segment.id);
    if (this.#byNumber.get(segment.number) === segment) this.#byNumber.delete(segment.number);
    segment.dirty = false;
    this.#dirty.delete(segment);
  }

  all(): IterableIterator<OpenSegment> {
    return this.#byId.values();
  }

  /** Its files are behind the write-ahead log. */
  touch(segment: OpenSegment): void {
    if (segment.dirty) return;
    segment.dirty = true;
    this.#dirty.add(segment);
  }

  get dirtyCount(): number {
    return this.#dirty.size;
  }

  takeDirty(): OpenSegment[] {
    const dirty = [...this.#dirty];
    for (const segment of dirty) segment.dirty = false;
    this.#dirty.clear();
    return dirty;
  }
}
