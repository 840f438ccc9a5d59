import type { SegmentOffsets, SegmentRead, SegmentReader, SegmentState } from '@robustmq/core';
import type { Segment } from './segment.ts';

export class MemoryReader implements SegmentReader {
  readonly #segment: Segment;

  constructor(segment: Segment) {
    this.#segment = segment;
  }

  offsets(): SegmentOffsets {
    return this.#segment.offsets();
  }

  async state(): Promise<SegmentState> {
    this.#segment.refuseDropped();
    return this.#segment.state;
  }

  async read(from: number, options: { readonly maxBytes: number }): Promise<SegmentRead> {
    return this.#segment.read(from, options.maxBytes);
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#segment.offsetForTimestamp(timestamp);
  }

  async close(): Promise<void> {}
}
