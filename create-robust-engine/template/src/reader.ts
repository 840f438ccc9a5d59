import { crc32 } from 'node:zlib';
import {
  type SegmentOffsets,
  type SegmentRead,
  type SegmentReader,
  type SegmentState,
  StorageError,
} from '@robustmq/core';
import type { Log } from './log.ts';
import type { Segment } from './segment.ts';

export class Reader implements SegmentReader {
  readonly #segment: Segment;
  readonly #log: Log;

  constructor(segment: Segment, log: Log) {
    this.#segment = segment;
    this.#log = log;
  }

  offsets(): SegmentOffsets {
    return this.#segment.offsets();
  }

  async state(): Promise<SegmentState> {
    this.#segment.refuseDeleted();
    const { at, bytes, digest } = this.#segment.state;
    const state = await this.#log.read(at, bytes);
    if (crc32(state) !== digest) throw new StorageError('CORRUPT', 'the state is damaged', { where: `byte ${at}` });
    return state;
  }

  read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<SegmentRead> {
    return this.#segment.read(this.#log, from, maxBytes);
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#segment.offsetForTimestamp(timestamp);
  }

  async close(): Promise<void> {}
}
