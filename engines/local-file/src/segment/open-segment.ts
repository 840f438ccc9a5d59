import type { SegmentId, StorageError } from '@robustmq/core';
import type { SyncedFacts } from '../checkpoint.ts';
import type { SegmentLog } from './segment-log.ts';

export interface OpenSegmentFacts {
  readonly id: SegmentId;
  readonly number: number;
  readonly nonce: number;
  readonly base: number;
  readonly epoch: number;
  readonly log: SegmentLog;
}

/** A segment about which the write-ahead log still has something to say: not sealed, or sealed and not yet with a durable footer. */
export class OpenSegment {
  readonly id: SegmentId;
  /** Stands for the id in the write-ahead log. */
  readonly number: number;
  readonly nonce: number;
  readonly base: number;
  readonly epoch: number;
  readonly log: SegmentLog;
  fencedEpoch: number;
  /** One past the last offset that was taken. */
  dispatched: number;
  sealed = false;
  deleted = false;
  ingested = false;
  uid = '';
  digest = 0;
  /** Core's state while no file of its own holds it. */
  state: Uint8Array | undefined;
  /** What the files are known to hold, whatever happens. */
  synced: SyncedFacts;
  /** Why its writer is no more. */
  failure: StorageError | undefined;
  /** Its footer is durable already, and only to be written again. */
  hasFooter = false;
  /** Something is missing in the log that may have been its own; a seal at the end that was found clears it. */
  suspicion: string | undefined;
  /** Committed data is damaged, in these words. */
  corrupt: string | undefined;
  /** A sync has failed: what the file holds past `synced` is unknown, whatever the page cache says. */
  mustRewrite = false;
  /** Written to the file since it was synced. */
  unsynced = 0;
  /** The write-back that is under way. */
  writing: Promise<void> | undefined;
  /** It has bytes in memory that are not in its file. */
  unwritten = false;
  /** Its files are behind the write-ahead log. */
  dirty = false;
  /** The tail's memory that was counted. */
  counted = 0;

  constructor(facts: OpenSegmentFacts) {
    this.id = facts.id;
    this.number = facts.number;
    this.nonce = facts.nonce;
    this.base = facts.base;
    this.epoch = facts.epoch;
    this.log = facts.log;
    this.fencedEpoch = facts.epoch;
    this.dispatched = facts.log.end;
    const { end, bytes, index } = facts.log;
    const { count: indexCount, lastPosition: lastIndexed, maxTimestamp } = index;
    this.synced = { end, bytes, indexCount, lastIndexed, maxTimestamp };
  }

  /** Ends the writer's life; what was committed stays. */
  fail(error: StorageError): void {
    this.failure ??= error;
    this.dispatched = this.log.end;
  }
}
