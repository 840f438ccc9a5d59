import { describe, expect, it } from 'vitest';
import { checkDeliveries, type ReadLog } from './deliveries.ts';

const record = (sequence: number) => ({ writer: 'w', sequence });
const records = (...sequences: number[]) => sequences.map(record);

/** A log that holds these, from offset 0 on; -1: nothing was ever read there. */
function logOf(sequences: readonly number[], gone: readonly number[] = []): ReadLog {
  const entries = sequences.flatMap((sequence, offset) => (sequence < 0 ? [] : [[offset, record(sequence)] as const]));
  return { records: new Map(entries), isGone: (offset) => gone.includes(offset), hasGone: gone.length > 0 };
}

describe('what a subscriber got', () => {
  const log = logOf([0, 1, 2, 3, 4, 5]);

  it('is the log from its begin, and from anywhere over a later connection', () => {
    expect(checkDeliveries(log, [records(0, 1, 2), records(4, 5)])).toEqual([]);
  });

  it('may be nothing', () => {
    expect(checkDeliveries(log, [[], []])).toEqual([]);
  });

  it('is wrong with a message missing, repeated, out of order, made up or damaged', () => {
    for (const got of [
      records(0, 1, 3),
      records(0, 1, 1, 2),
      records(0, 2, 1, 3),
      records(0, 1, 9),
      [record(0), undefined, record(2)],
      records(0, 1, 2, 3, 4, 5, 6),
    ])
      expect(checkDeliveries(log, [got])).toHaveLength(1);
  });

  it('is wrong when the first connection does not begin with the log', () => {
    expect(checkDeliveries(log, [records(1, 2)])).toHaveLength(1);
  });

  it('begins at the second of two places where only that one fits', () => {
    const repeated = logOf([0, 1, 2, 1, 2, 3]);
    expect(checkDeliveries(repeated, [[], records(1, 2, 3)])).toEqual([]);
    expect(checkDeliveries(repeated, [[], records(1, 3)])).toHaveLength(1);
  });

  it('may hold what nobody else read of memory that is gone, and only there', () => {
    expect(checkDeliveries(logOf([0, 1, -1, 3], [2, 3]), [records(0, 1, 2)])).toEqual([]);
    expect(checkDeliveries(logOf([0, 1, -1, 3]), [records(0, 1, 2)])).toHaveLength(1);
  });
});
