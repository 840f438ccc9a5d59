import type { SegmentOffsets, SegmentRead, SegmentReader, SegmentState } from '@robustmq/core';
import type { Segment } from './segment.ts';
import { withStorageErrors } from './sqlite-error.ts';

export class Reader implements SegmentReader {
  readonly #segment: Segment;

  constructor(segment: Segment) {
    this.#segment = segment;
  }

  offsets(): SegmentOffsets {
    return this.#segment.offsets();
  }

  async state(): Promise<SegmentState> {
    return withStorageErrors(() => this.#segment.state());
  }

  async read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<SegmentRead> {
    return withStorageErrors(() => this.#segment.read(from, maxBytes));
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return withStorageErrors(() => this.#segment.offsetForTimestamp(timestamp));
  }

  async close(): Promise<void> {}
}
