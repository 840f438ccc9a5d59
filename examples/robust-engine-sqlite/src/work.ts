/** What the thread that writes is asked for, and what it answers. Plain data: it crosses threads. */
export interface Group {
  readonly works: readonly Work[];
  /** Bytes of all of them, one behind the other. */
  readonly bytes: Uint8Array;
}

export type Work =
  | ({ readonly kind: 'create'; readonly id: string; readonly base: number; readonly epoch: number } & Bytes)
  | ({ readonly kind: 'append'; readonly key: number; readonly base: number } & Batches)
  | { readonly kind: 'seal'; readonly key: number }
  | { readonly kind: 'recover'; readonly id: string; readonly epoch: number }
  | { readonly kind: 'begin' }
  | ({ readonly kind: 'part'; readonly key: number } & Batches)
  | ({ readonly kind: 'publish'; readonly key: number; readonly segment: Published } & Bytes)
  | { readonly kind: 'delete'; readonly id: string }
  | { readonly kind: 'sweep'; readonly not: readonly number[] }
  | { readonly kind: 'prove' };

/** Where the bytes of this work lie in those of the group: filled in when it leaves. */
interface Bytes {
  at: number;
  readonly length: number;
}

interface Batches extends Bytes {
  readonly rows: readonly BatchRow[];
}

export interface BatchRow {
  /** From the first of this work's bytes. */
  readonly at: number;
  readonly length: number;
  readonly prev: number;
  readonly base: number;
  readonly next: number;
  readonly maxTimestamp: number;
  readonly digest: number;
}

export interface Published {
  readonly id: string;
  readonly base: number;
  readonly end: number;
  readonly last: number;
  readonly epoch: number;
  readonly uid: string;
  readonly bytes: number;
  readonly crc: number;
  readonly batches: number;
}

export type Answer = Done | Refused;

export interface Done {
  readonly key: number;
  readonly end: number;
  readonly bytes: number;
  readonly crc: number;
}

/** Nothing of the work was done. */
export interface Refused {
  readonly code: 'SEGMENT_EXISTS' | 'SEGMENT_UNKNOWN' | 'FENCED' | 'OFFSET_MISMATCH' | 'CORRUPT';
  readonly detail: string;
}

export type FromWorker =
  | { readonly opened: { readonly incarnation: string } }
  | { readonly answers: readonly Answer[] }
  | { readonly failed: Failure };

export interface Failure {
  readonly code: 'IO_ERROR' | 'CORRUPT' | 'FORMAT_TOO_NEW';
  readonly detail: string;
}
