import type { SegmentWriter } from '../engine.ts';
import type { EngineInstance } from '../storage-options.ts';
import { type SegmentRow, SegmentStats } from './chain.ts';

/** The segment that takes appends now. */
export class OpenSegment {
  readonly row: SegmentRow;
  readonly writer: SegmentWriter;
  readonly instance: EngineInstance;
  /** Of what is committed. */
  readonly stats: SegmentStats = new SegmentStats();
  /** Committed or on its way. */
  dispatchedBytes = 0;
  /** Monotonic ms. */
  readonly openedAt: number;
  /** Set when Meta knows that the segment is open, and that the one before it is sealed. */
  recorded: Promise<void> = Promise.resolve();
  /** It must be sealed before the next append, whatever its size. */
  mustRoll = false;

  constructor(row: SegmentRow, writer: SegmentWriter, instance: EngineInstance, openedAt: number) {
    this.row = row;
    this.writer = writer;
    this.instance = instance;
    this.openedAt = openedAt;
  }
}
