/**
 * What this engine keeps in its part of Meta. Meta is the truth: an object counts for nothing until a row leads to it, and no row leads to an
 * object before it is whole in the store.
 *
 *     medium                        the cluster that the objects belong to
 *     life/<node>                   the process of a node that may write now: whoever begins a new life fences the one before
 *     room/<node>                   numbers of log objects that this life may have put
 *     seen/<node>                   when the life was last seen
 *     dead/<node>-<life>            a life that is over, whose orphans wait to be swept
 *     s/<segment>                   a segment: whoever rewrites its row fences all who knew it as it was
 *     p/<uid>/<base>                where a run of an open or not yet compacted segment lies, by the segment's uid
 *     o/<object>                    an object that is there, or that is about to be put
 */
import { type RowCodec, rowCodec } from '@robustmq/core';

export interface MediumRow {
  readonly cluster: string;
  /** The mark that names the cluster has been put into the bucket. */
  readonly marked: boolean;
}

export interface LifeRow {
  readonly life: number;
  /** Part of its objects' names, so that they are nobody else's even if Meta should ever give a number twice. */
  readonly uid: string;
}

export interface RoomRow {
  readonly life: number;
  /** Log objects of this life have numbers below this, */
  readonly reserved: number;
  /** and what came of all below this is known: a row leads to them, or they have been deleted. */
  readonly settled: number;
}

export interface SeenRow {
  /** Wall time, ms. */
  readonly at: number;
}

export interface DeadRow {
  readonly uid: string;
  readonly reserved: number;
  readonly settled: number;
  /** Wall time, ms: what it had sent may arrive for a while after that. */
  readonly fencedAt: number;
}

/** Where the image of a sealed segment lies. */
export interface Place {
  /** The object's name below the cluster's prefix. */
  readonly object: string;
  readonly at: number;
  readonly bytes: number;
  readonly objectBytes: number;
  /** Of what was appended to a file: where that begins. It counts as an object of its own, of `objectBytes`. */
  readonly from?: number;
}

export interface SegmentRow {
  readonly uid: string;
  /** `<node>-<life>` that wrote or sealed it. */
  readonly life: string;
  readonly base: number;
  readonly epoch: number;
  /** -1 while open. */
  readonly end: number;
  /** Core's state in base64 while it is small; else an object holds it. Absent once there is a place, which has it, too. */
  readonly state?: string;
  readonly stateObject?: { readonly object: string; readonly bytes: number; readonly strayed?: boolean };
  /** Of a segment that came whole. */
  readonly ingest?: { readonly attempt: string; readonly bytes: number; readonly crc: number };
  readonly place?: Place;
}

export interface PointerRow {
  readonly object: string;
  readonly objectBytes: number;
  /** Of what was appended to a file: where that begins. */
  readonly from?: number;
  readonly at: number;
  readonly bytes: number;
  readonly base: number;
  readonly next: number;
  readonly minTs: number;
  readonly maxTs: number;
  /** CRC32C of the run. */
  readonly crc: number;
}

export interface ObjectRow {
  readonly kind: 'log' | 'segment' | 'state';
  /** `planned`: it may be there, in part or whole. `stored`: it is. */
  readonly state: 'planned' | 'stored';
  /** `<node>-<life>` that puts it. */
  readonly life: string;
  /** Of an upload in parts that has begun. */
  readonly upload?: string;
  /** A try of its put ended without a word, and may still arrive: it is not forgotten before that. */
  readonly strayed?: boolean;
}

export const mediumCodec: RowCodec<MediumRow> = rowCodec('M', 1, (json) => checked(json, ['cluster'], []));
export const lifeCodec: RowCodec<LifeRow> = rowCodec('L', 1, (json) => checked(json, ['uid'], ['life']));
export const roomCodec: RowCodec<RoomRow> = rowCodec('R', 1, (json) =>
  checked(json, [], ['life', 'reserved', 'settled']),
);
export const seenCodec: RowCodec<SeenRow> = rowCodec('W', 1, (json) => checked(json, [], ['at']));
export const deadCodec: RowCodec<DeadRow> = rowCodec('D', 1, (json) =>
  checked(json, ['uid'], ['reserved', 'settled', 'fencedAt']),
);
export const segmentCodec: RowCodec<SegmentRow> = rowCodec('S', 1, (json) =>
  checked(json, ['uid', 'life'], ['base', 'epoch', 'end']),
);
export const pointerCodec: RowCodec<PointerRow> = rowCodec('P', 1, (json) =>
  checked(json, ['object'], ['objectBytes', 'at', 'bytes', 'base', 'next', 'minTs', 'maxTs', 'crc']),
);
export const objectCodec: RowCodec<ObjectRow> = rowCodec('O', 1, (json) =>
  checked(json, ['kind', 'state', 'life'], []),
);

export const MEDIUM_KEY = 'medium';
export const SEGMENT_PREFIX = 's/';
export const POINTER_PREFIX = 'p/';
export const OBJECT_PREFIX = 'o/';
export const DEAD_PREFIX = 'dead/';
export const LIFE_PREFIX = 'life/';
export const SEEN_PREFIX = 'seen/';

export function lifeKey(node: number): string {
  return `${LIFE_PREFIX}${node}`;
}

export function roomKey(node: number): string {
  return `room/${node}`;
}

export function seenKey(node: number): string {
  return `${SEEN_PREFIX}${node}`;
}

export function deadKey(name: string): string {
  return `${DEAD_PREFIX}${name}`;
}

export function segmentKey(id: string): string {
  return `${SEGMENT_PREFIX}${id}`;
}

export function pointerPrefix(uid: string): string {
  return `${POINTER_PREFIX}${uid}/`;
}

/** In order of offsets: the widest has 16 digits. */
export function pointerKey(uid: string, base: number): string {
  return `${pointerPrefix(uid)}${String(base).padStart(16, '0')}`;
}

export function objectKey(object: string): string {
  return `${OBJECT_PREFIX}${object}`;
}

function checked<Row>(json: Record<string, unknown>, texts: readonly string[], numbers: readonly string[]): Row {
  for (const key of texts) if (typeof json[key] !== 'string') throw new Error(`${key} is not a text`);
  for (const key of numbers) if (!Number.isSafeInteger(json[key])) throw new Error(`${key} is not a whole number`);
  return json as Row; // every field was looked at
}
