import {
  forEachBatch,
  headerDigest,
  nextOffset,
  type SegmentOffsets,
  type SegmentRead,
  StorageError,
} from '@robustmq/core';
import type { Log } from './log.ts';

interface Batch {
  readonly base: number;
  readonly next: number;
  readonly at: number;
  readonly bytes: number;
  readonly maxTimestamp: number;
  /** Of its header, which holds the CRC of the rest; offset and epoch are under no other one. */
  readonly digest: number;
}

/** What the log says of one segment. Changed by {@link Segments} alone, in the order of the log. */
export class Segment {
  readonly base: number;
  readonly state: { readonly at: number; readonly bytes: number; readonly digest: number };
  /** Only of one that was ingested. */
  readonly uid: string | undefined;
  /** Whose the segment is: the highest epoch that has asked for it. */
  epoch: number;
  end: number;
  sealed = false;
  deleted = false;
  bytes = 0;
  crc = 0;
  readonly #batches: Batch[] = [];

  constructor(base: number, epoch: number, state: Segment['state'], uid?: string) {
    this.base = base;
    this.epoch = epoch;
    this.end = base;
    this.state = state;
    this.uid = uid;
  }

  /** Takes the batches in `body`, which lies at `at` in the log. */
  add(body: Uint8Array, at: number): void {
    forEachBatch(body, (header, from) => {
      const batch = {
        base: header.baseOffset,
        next: nextOffset(header),
        at: at + from,
        bytes: header.bytes,
        maxTimestamp: header.maxTimestamp,
        digest: headerDigest(0, body, from),
      };
      this.#batches.push(batch);
      this.end = batch.next;
      this.bytes += header.bytes;
      this.crc = headerDigest(this.crc, body, from);
    });
  }

  /** Makes the batches of `part` this segment's own. */
  adopt(part: Segment): void {
    this.#batches.push(...part.#batches);
    this.bytes = part.bytes;
    this.crc = part.crc;
  }

  offsets(): SegmentOffsets {
    return { base: this.base, committed: this.end, end: this.end, sealed: this.sealed };
  }

  /** Batches that lie in a row, but for a few other frames between them: one read of the file. */
  async read(log: Log, from: number, maxBytes: number): Promise<SegmentRead> {
    this.refuseDeleted();
    const found = this.#batches[this.#indexOf(from)];
    if (found === undefined) return { bytes: new Uint8Array(0), next: this.end };
    const batches = [found];
    for (let i = this.#indexOf(from) + 1; i < this.#batches.length; i++) {
      const batch = this.#batches[i];
      if (batch === undefined || batch.at + batch.bytes - found.at > maxBytes) break;
      batches.push(batch);
    }
    const last = batches.at(-1) ?? found;
    const span = await log.read(found.at, last.at + last.bytes - found.at);
    let length = 0;
    for (const batch of batches) {
      const start = batch.at - found.at;
      if (headerDigest(0, span, start) !== batch.digest)
        throw new StorageError('CORRUPT', `the batch of offset ${batch.base} is damaged`, {
          where: `byte ${batch.at}`,
        });
      span.copyWithin(length, start, start + batch.bytes);
      length += batch.bytes;
    }
    return { bytes: span.subarray(0, length), next: last.next };
  }

  offsetForTimestamp(timestamp: number): number | undefined {
    this.refuseDeleted();
    return this.#batches.find(({ maxTimestamp }) => maxTimestamp >= timestamp)?.base;
  }

  refuseDeleted(): void {
    if (this.deleted) throw new StorageError('SEGMENT_UNKNOWN', 'the segment has been deleted');
  }

  /** Of the first batch that ends above `offset`. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#batches[middle]?.next ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
