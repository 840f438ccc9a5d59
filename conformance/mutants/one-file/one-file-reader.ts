import { type SegmentOffsets, type SegmentRead, type SegmentReader, StorageError } from '@robustmq/core';
import type { Segment } from './one-file-engine.ts';
import type { OneFileLog } from './one-file-log.ts';

export class OneFileReader implements SegmentReader {
  protected readonly segment: Segment;
  protected readonly log: OneFileLog;

  constructor(segment: Segment, log: OneFileLog) {
    this.segment = segment;
    this.log = log;
  }

  offsets(): SegmentOffsets {
    const { base, end, sealed } = this.segment;
    return { base, committed: end, end, sealed };
  }

  async state(): Promise<Uint8Array> {
    this.refuseGone();
    return this.segment.state;
  }

  async read(from: number, { maxBytes }: { readonly maxBytes: number }): Promise<SegmentRead> {
    this.refuseGone();
    const { entries, end } = this.segment;
    const first = indexOf(entries, from);
    const reads: Promise<Uint8Array>[] = [];
    let [bytes, next] = [0, end];
    for (let i = first; i < entries.length; i++) {
      const [, after, position, length] = entries[i] ?? [0, 0, 0, 0];
      if (i > first && bytes + length > maxBytes) break;
      bytes += length;
      next = after;
      reads.push(this.bytesAt(position, length));
    }
    return { bytes: Buffer.concat(await Promise.all(reads)), next };
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    this.refuseGone();
    return this.segment.entries.find(([, , , , maxTimestamp]) => maxTimestamp >= timestamp)?.[0];
  }

  async close(): Promise<void> {}

  protected async bytesAt(position: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.alloc(length);
    await this.log.read(bytes, position);
    return bytes;
  }

  protected refuseGone(): void {
    if (this.segment.gone) throw new StorageError('SEGMENT_UNKNOWN', 'The segment has been deleted');
  }
}

/** Of the first entry that ends behind `offset`. */
function indexOf(entries: Segment['entries'], offset: number): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.[1] ?? 0) > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}
