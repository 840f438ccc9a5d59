/**
 * A shard as Meta knows it: one head row and one row per segment. Pure data and look-ups.
 *
 *     shard/<topic id>/<shard>            head
 *     chain/<topic id>/<shard>/<seq>      one segment
 *     copy/<topic id>/<shard>/<seq>       intent to write a segment as a copy: swept when it never became a chain entry
 */
import type { SegmentInfo } from '../adapter.ts';
import { headerDigest } from '../batch/check.ts';
import type { BatchHeader } from '../batch/header.ts';
import { type RowCodec, rowCodec } from '../meta/row.ts';

export interface HeadRow {
  readonly epoch: number;
  readonly owner: number;
  readonly logStart: number;
  /** Every offset that was ever given out is below this. */
  readonly reserved: number;
  /** Of the next segment; ids are never used twice. */
  readonly nextSeq: number;
}

export const NEW_HEAD: HeadRow = { epoch: 0, owner: 0, logStart: 0, reserved: 0, nextSeq: 1 };

export interface SegmentRow {
  readonly seq: number;
  readonly id: string;
  readonly instance: string;
  /** Of the instance when the segment was created: another one now means that the medium is gone. */
  readonly incarnation: string;
  readonly state: SegmentInfo['state'];
  /** -1 while PREPARED: it is known once the segment before is sealed. */
  readonly base: number;
  /** -1 until sealed. */
  readonly end: number;
  readonly epoch: number;
  /** A merged segment's epochs, each with its first offset; absent when there is only `epoch`. */
  readonly epochs?: readonly EpochStart[];
  readonly bytes: number;
  readonly minTs: number;
  readonly maxTs: number;
  /** Wall time of the newest append, ms: what retention goes by, since clients set the records' own timestamps. */
  readonly appendMaxTs: number;
  readonly crc: number;
  /** Wall time from which a DELETING segment may go. */
  readonly deleteAfter?: number;
  /** For a DELETING segment: it holds the same as the one that took its place, and readers like it better as long as it is there. */
  readonly kept?: boolean;
  /** It was moved here because it was old, and moves back when the topic is no longer archived. */
  readonly archived?: boolean;
  /** The fold at `end`, in base64, when it is small: saves reading the segment again to go on. */
  readonly endState?: string;
  /** For a compacted segment: no older record of any of its keys is in it or before it. */
  readonly compacted?: boolean;
}

export interface EpochStart {
  readonly epoch: number;
  readonly base: number;
}

export const headCodec: RowCodec<HeadRow> = rowCodec<HeadRow>('H', 1, (json) => ({
  epoch: whole(json, 'epoch'),
  owner: whole(json, 'owner'),
  logStart: whole(json, 'logStart'),
  reserved: whole(json, 'reserved'),
  nextSeq: whole(json, 'nextSeq'),
}));

export const segmentCodec: RowCodec<SegmentRow> = rowCodec<SegmentRow>('S', 1, (json) => {
  for (const key of ['seq', 'base', 'end', 'epoch', 'bytes', 'minTs', 'maxTs', 'appendMaxTs', 'crc']) whole(json, key);
  for (const key of ['id', 'instance', 'incarnation', 'state'])
    if (typeof json[key] !== 'string') throw new Error(`${key} is not a string`);
  return json as unknown as SegmentRow; // every field was looked at
});

/** Written when the topic is created and deleted with it, never changed: every commit of a shard is guarded by it. */
export function liveKey(topicId: string): string {
  return `live/${topicId}`;
}

export function headKey(topicId: string, shard: number): string {
  return `shard/${topicId}/${shard}`;
}

export function chainPrefix(topicId: string, shard: number): string {
  return `chain/${topicId}/${shard}/`;
}

export function segmentKey(topicId: string, shard: number, seq: number): string {
  return `${chainPrefix(topicId, shard)}${String(seq).padStart(10, '0')}`;
}

export function copyPrefix(topicId: string, shard: number): string {
  return `copy/${topicId}/${shard}/`;
}

export function segmentId(topicId: string, shard: number, seq: number): string {
  return `${segmentIdPrefix(topicId)}${shard}-${String(seq).padStart(8, '0')}`;
}

/** Of all segments of a topic. */
export function segmentIdPrefix(topicId: string): string {
  return `${topicId.replaceAll('-', '')}-`;
}

/** The part of a segment's id that all segments of its topic have, and no other's. */
export function topicKeyOfSegment(id: string): string {
  return id.slice(0, id.indexOf('-') + 1);
}

export function isUnsealed(row: SegmentRow): boolean {
  return row.state === 'PREPARED' || row.state === 'OPEN' || row.state === 'RECOVERING';
}

/** The rows that tile the offsets, in order: all but those that were replaced or dropped. */
export function tiles(rows: readonly SegmentRow[]): SegmentRow[] {
  return rows.filter((row) => row.state !== 'DELETING').sort((a, b) => a.base - b.base || a.seq - b.seq);
}

/** The index in `rows` (in order of base) of the last one that begins at or below `offset`; -1 when there is none. */
export function indexAtOrBelow(rows: readonly { readonly base: number }[], offset: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rows[middle]?.base ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The epochs of the chain in order, each with its first offset. */
export function epochStarts(rows: readonly SegmentRow[]): EpochStart[] {
  const starts: EpochStart[] = [];
  for (const row of rows)
    for (const start of row.epochs ?? [{ epoch: row.epoch, base: row.base }])
      if (starts.length === 0 || start.epoch > (starts.at(-1)?.epoch ?? 0)) starts.push(start);
  return starts;
}

/** What the chain keeps about a segment's content, gathered batch by batch. */
export class SegmentStats {
  bytes = 0;
  batches = 0;
  minTs = -1;
  maxTs = -1;
  appendMaxTs = 0;
  crc = 0;

  add(header: BatchHeader, bytes: Uint8Array, at: number, now: number): void {
    this.bytes += header.bytes;
    this.batches++;
    if (this.minTs === -1 || header.baseTimestamp < this.minTs) this.minTs = header.baseTimestamp;
    if (header.maxTimestamp > this.maxTs) this.maxTs = header.maxTimestamp;
    if (now > this.appendMaxTs) this.appendMaxTs = Math.floor(now);
    this.crc = headerDigest(this.crc, bytes, at);
  }

  fields(): Pick<SegmentRow, 'bytes' | 'minTs' | 'maxTs' | 'appendMaxTs' | 'crc'> {
    const { bytes, minTs, maxTs, appendMaxTs, crc } = this;
    return { bytes, minTs, maxTs, appendMaxTs, crc };
  }
}

function whole(json: Record<string, unknown>, key: string): number {
  const value = json[key];
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new Error(`${key} is not a whole number`);
  return value;
}
