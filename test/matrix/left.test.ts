import { describe, expect, it } from 'vitest';
import type { SegmentRow } from '../../core/src/shard/chain.ts';
import { goneStretches } from './left.ts';

let seq = 0;

function row(instance: string, state: SegmentRow['state'], base: number, end: number): SegmentRow {
  seq++;
  return {
    seq,
    id: `s${seq}`,
    instance,
    incarnation: 'i',
    state,
    base,
    end,
    epoch: 1,
    bytes: 1,
    minTs: 0,
    maxTs: 0,
    appendMaxTs: 0,
    crc: 0,
  };
}

const gone = (rows: readonly SegmentRow[]) =>
  goneStretches({ rows, reserved: 1000, copies: 0 }, (instance) => instance === 'memory').map(({ base, end }) => [
    base,
    end,
  ]);

describe('what went with a process', () => {
  it('is what was sealed in memory, and what was open there up to what had been reserved', () => {
    expect(
      gone([
        row('disk', 'SEALED', 0, 10),
        row('memory', 'SEALED', 10, 20),
        row('disk', 'SEALED', 20, 30),
        row('memory', 'OPEN', 30, -1),
      ]),
    ).toEqual([
      [10, 20],
      [30, 1000],
    ]);
  });

  it('reaches to where the next segment begins', () => {
    expect(gone([row('memory', 'OPEN', 0, -1), row('disk', 'OPEN', 7, -1)])).toEqual([[0, 7]]);
  });

  it('holds what a segment that was only prepared may have taken behind one that was open', () => {
    expect(gone([row('memory', 'OPEN', 5, -1), row('memory', 'PREPARED', -1, -1)])).toEqual([
      [5, 1000],
      [5, 1000],
    ]);
    expect(gone([row('memory', 'SEALED', 0, 5), row('memory', 'PREPARED', -1, -1)])).toEqual([
      [0, 5],
      [5, 1000],
    ]);
  });

  it('never holds what a durable engine may have taken', () => {
    expect(gone([row('disk', 'OPEN', 5, -1), row('memory', 'PREPARED', -1, -1)])).toEqual([]);
    expect(gone([row('disk', 'SEALED', 0, 5), row('disk', 'OPEN', 5, -1)])).toEqual([]);
  });

  it('was gone before when it is marked as lost', () => {
    expect(gone([row('memory', 'LOST', 0, 5), row('disk', 'OPEN', 5, -1)])).toEqual([]);
  });
});
