import {
  isStorageError,
  type SegmentOffsets,
  type SegmentRead,
  type SegmentReader,
  type SegmentState,
} from '@robustmq/core';
import type { PointerLog } from './pointers.ts';

/** What is behind a view now: runs in write-ahead objects, or the segment's image. */
export type Content =
  | { readonly kind: 'runs'; readonly log: PointerLog; state(): Promise<SegmentState> }
  | { readonly kind: 'image'; readonly image: SegmentReader };

/**
 * Reads a segment. Compaction may move it from runs to an image under an open reader, and what the reader knew of goes after that: one that
 * finds its object gone asks once where the segment lies now.
 */
export class SegmentView {
  #content: Content;
  readonly #find: () => Promise<Content>;

  constructor(content: Content, find: () => Promise<Content>) {
    this.#content = content;
    this.#find = find;
  }

  read(from: number, maxBytes: number): Promise<SegmentRead> {
    return this.#use((content) =>
      content.kind === 'runs' ? content.log.read(from, maxBytes) : content.image.read(from, { maxBytes }),
    );
  }

  offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#use((content) =>
      content.kind === 'runs' ? content.log.offsetForTimestamp(timestamp) : content.image.offsetForTimestamp(timestamp),
    );
  }

  state(): Promise<SegmentState> {
    return this.#use((content) => (content.kind === 'runs' ? content.state() : content.image.state()));
  }

  async close(): Promise<void> {
    if (this.#content.kind === 'image') await this.#content.image.close();
  }

  async #use<T>(run: (content: Content) => Promise<T>): Promise<T> {
    const before = this.#content;
    try {
      return await run(before);
    } catch (error) {
      if (!isStorageError(error, 'SEGMENT_LOST') || before.kind === 'image') throw error;
      // throws SEGMENT_UNKNOWN when the segment has been deleted
      const now = await this.#find();
      if (now.kind === 'runs') throw error;
      if (this.#content === before) this.#content = now;
      return await run(this.#content);
    }
  }
}

/** A reader of a sealed segment. */
export class ViewReader implements SegmentReader {
  readonly #offsets: SegmentOffsets;
  readonly #view: SegmentView;

  constructor(range: { readonly base: number; readonly end: number }, view: SegmentView) {
    this.#offsets = { base: range.base, committed: range.end, end: range.end, sealed: true };
    this.#view = view;
  }

  offsets(): SegmentOffsets {
    return this.#offsets;
  }

  state(): Promise<SegmentState> {
    return this.#view.state();
  }

  async read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<SegmentRead> {
    const { committed } = this.#offsets;
    if (from >= committed) return { bytes: new Uint8Array(0), next: committed };
    return await this.#view.read(from, maxBytes);
  }

  offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#view.offsetForTimestamp(timestamp);
  }

  close(): Promise<void> {
    return this.#view.close();
  }
}
