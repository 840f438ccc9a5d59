import type { SegmentId } from '@robustmq/core';
import type { Checkpoint, SegmentRow } from './checkpoint.ts';
import type { FileCache } from './file-cache.ts';
import { OpenSegment } from './segment/open-segment.ts';
import type { SegmentPaths } from './segment/segment-files.ts';
import { SegmentLog } from './segment/segment-log.ts';
import { SparseIndex } from './segment/sparse-index.ts';
import type { SegmentTable } from './segment-table.ts';
import { decodeBody } from './wal/bodies.ts';
import { type EntryHeader, KIND } from './wal/frames.ts';
import type { LogFile } from './wal/log-reads.ts';
import type { ReplayVisitor } from './wal/replay.ts';

export interface RebuildOptions {
  readonly table: SegmentTable;
  readonly paths: SegmentPaths;
  readonly cache: FileCache;
  readonly indexInterval: number;
}

/** Something the log says about a segment that is not open: its files tell whether it still has to be done. */
export interface Leftover {
  readonly id: SegmentId;
  readonly nonce: number;
  readonly kind: 'fence' | 'delete';
  readonly epoch: number;
}

/** Makes the table of open segments again: the rows of the checkpoint, and what the log says since. Every entry may come twice. */
export class Rebuild implements ReplayVisitor {
  readonly #options: RebuildOptions;
  readonly #unknown = new Set<number>();
  readonly leftovers: Leftover[] = [];
  /** Bytes of committed data that were found damaged or missing. */
  damagedBytes = 0;
  appends = 0;

  constructor(options: RebuildOptions, checkpoint: Checkpoint) {
    this.#options = options;
    options.table.nextNumber = checkpoint.nextNumber;
    options.table.suspect = checkpoint.suspect;
    for (const row of checkpoint.segments) options.table.add(this.#fromRow(row));
  }

  entry(header: EntryHeader, body: Buffer, file: LogFile, place: number): void {
    const { kind } = header;
    if (kind === KIND.append) this.#append(header, body, file, place);
    else if (kind === KIND.create) this.#create(header, body);
    else if (kind === KIND.seal) this.#seal(header);
    else if (kind === KIND.fence) this.#fence(header, body);
    else if (kind === KIND.delete) this.#delete(header, body);
  }

  damaged(header: EntryHeader): void {
    this.damagedBytes += header.bodyBytes;
    if (header.kind === KIND.mark) return;
    const segment = this.#options.table.byNumber(header.number);
    if (header.kind === KIND.append && segment === undefined) return;
    if (segment === undefined || header.kind === KIND.create) {
      // its name is in what is damaged
      this.#options.table.suspect = true;
      return;
    }
    // what the files have already does not need the log
    if (header.kind === KIND.append && header.offset + header.count <= segment.log.end) return;
    this.#corrupt(segment, `its data from offset ${header.offset} on is damaged in the write-ahead log`);
  }

  lost(from: number, to: number): void {
    this.damagedBytes += to - from;
    this.#options.table.suspect = true;
    for (const segment of this.#options.table.all())
      if (!segment.sealed)
        segment.suspicion ??= `the write-ahead log is damaged between ${from} and ${to}, and nobody can tell what was there`;
  }

  /** To be called when all entries have been seen. */
  finish(): void {
    for (const segment of this.#options.table.all())
      if (segment.suspicion !== undefined) this.#corrupt(segment, segment.suspicion);
    if (this.#unknown.size > 0) this.#options.table.suspect = true;
  }

  #fromRow(row: SegmentRow): OpenSegment {
    const { indexInterval: interval, paths, cache } = this.#options;
    const index = new SparseIndex(interval, {
      count: row.indexCount,
      lastPosition: row.lastIndexed,
      maxTimestamp: row.maxTimestamp,
    });
    const log = new SegmentLog(row.id, paths, cache, { base: row.base, end: row.end, bytes: row.bytes, index });
    const segment = new OpenSegment({ ...row, log });
    segment.fencedEpoch = row.fencedEpoch;
    segment.corrupt = row.corrupt;
    if (row.state !== undefined) segment.state = Buffer.from(row.state, 'base64');
    return segment;
  }

  #append(header: EntryHeader, body: Buffer, file: LogFile, place: number): void {
    const { table } = this.#options;
    const segment = table.byNumber(header.number);
    if (segment === undefined) {
      // sealed or deleted further down, or its creation is lost
      this.#unknown.add(header.number);
      return;
    }
    const { log } = segment;
    if (segment.corrupt !== undefined || header.offset < log.end) return;
    if (header.offset > log.end) {
      this.#corrupt(segment, `its data between offsets ${log.end} and ${header.offset} is missing in the log`);
      return;
    }
    log.adopt(body, file, place);
    segment.dispatched = log.end;
    this.appends++;
    table.touch(segment);
  }

  #create(header: EntryHeader, body: Buffer): void {
    const { table, indexInterval: interval, paths, cache } = this.#options;
    if (table.byNumber(header.number) !== undefined) return;
    const { id, nonce, state } = decodeBody(body);
    const base = header.offset;
    const log = new SegmentLog(id, paths, cache, { base, end: base, bytes: 0, index: new SparseIndex(interval) });
    const segment = new OpenSegment({ id, nonce, number: header.number, base, epoch: header.epoch, log });
    segment.state = state;
    const before = table.get(id);
    if (before !== undefined) this.#forget(before);
    table.add(segment);
    table.touch(segment);
  }

  #seal(header: EntryHeader): void {
    this.#unknown.delete(header.number);
    const segment = this.#options.table.byNumber(header.number);
    if (segment === undefined || segment.corrupt !== undefined) return;
    segment.sealed = segment.log.end === header.offset;
    if (segment.sealed) {
      // all that it ever had is here
      segment.suspicion = undefined;
      this.#options.table.touch(segment);
    } else this.#corrupt(segment, `it was sealed at ${header.offset}, and ends at ${segment.log.end}`);
  }

  #fence(header: EntryHeader, body: Buffer): void {
    const { id, nonce } = decodeBody(body);
    const segment = this.#options.table.get(id);
    if (segment === undefined || segment.nonce !== nonce)
      this.leftovers.push({ id, nonce, kind: 'fence', epoch: header.epoch });
    else segment.fencedEpoch = Math.max(segment.fencedEpoch, header.epoch);
  }

  #delete(header: EntryHeader, body: Buffer): void {
    const { table } = this.#options;
    const { id, nonce } = decodeBody(body);
    this.#unknown.delete(header.number);
    const segment = table.get(id);
    if (segment?.nonce === nonce) {
      segment.deleted = true;
      this.#forget(segment);
    }
    this.leftovers.push({ id, nonce, kind: 'delete', epoch: header.epoch });
  }

  #forget(segment: OpenSegment): void {
    this.#options.table.remove(segment);
    segment.log.tail.dropInLog();
  }

  #corrupt(segment: OpenSegment, reason: string): void {
    segment.corrupt ??= reason;
    this.#options.table.touch(segment);
  }
}
