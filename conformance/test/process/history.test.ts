import { expect, test } from 'vitest';
import { History, type Print } from '../../src/process/history.ts';

/** Three appends of one segment: at 10 (acknowledged, two batches), at 13 (acknowledged), at 14 (no answer, two batches). */
function history(): History {
  const told = new History();
  told.tell({ tell: 'create', id: 'a' });
  told.tell({ tell: 'created', id: 'a' });
  told.tell({ tell: 'call', id: 'a', base: 10, prints: [print(1, 1), print(2, 2)] });
  told.tell({ tell: 'call', id: 'a', base: 13, prints: [print(3, 1)] });
  told.tell({ tell: 'acknowledged', id: 'a', base: 10, next: 13 });
  told.tell({ tell: 'acknowledged', id: 'a', base: 13, next: 14 });
  told.tell({ tell: 'call', id: 'a', base: 14, prints: [print(4, 1), print(5, 1)] });
  return told;
}

const SOUND = [at(10, 1, 1), at(11, 2, 2), at(13, 3, 1)];
const DOUBTED = [at(14, 4, 1), at(15, 5, 1)];

test('what was acknowledged is there, what is in doubt may be', () => {
  for (const [found, end] of [
    [SOUND, 14],
    [[...SOUND, ...DOUBTED], 16],
  ] as const) {
    const told = history();
    told.read('a', found, end);
    expect(told.violations).toEqual([]);
  }
});

test.each([
  ['lost', [at(10, 1, 1), at(11, 2, 2)], 13],
  ['lost', [at(10, 1, 1), at(13, 3, 1)], 14],
  ['duplicated', [...SOUND, at(14, 3, 1)], 15],
  ['reordered', [at(10, 3, 1), at(11, 1, 1), at(12, 2, 2)], 14],
  ['phantom', [...SOUND, at(20, 99, 1)], 21],
  ['changed', [at(10, 1, 1), at(11, 77, 2), at(13, 3, 1)], 14],
  ['changed', [at(10, 1, 1), at(11, 2, 1), at(13, 3, 1)], 14],
  ['renumbered', [at(10, 1, 1), at(11, 2, 2), at(14, 3, 1)], 15],
  ['torn', [...SOUND, at(14, 4, 1)], 15],
] as const)('%s is seen', (anomaly, found, end) => {
  const told = history();
  told.read('a', found, end);
  expect(told.violations.map((violation) => violation.anomaly)).toContain(anomaly);
});

test('phantom is also what had failed with outcome none', () => {
  const told = history();
  told.tell({ tell: 'failed', id: 'a', base: 14, outcome: 'none', code: 'DISK_FULL' });
  told.read('a', [...SOUND, ...DOUBTED], 16);
  expect(told.violations.map(({ anomaly }) => anomaly)).toEqual(['phantom', 'phantom']);
});

test('lost is also a segment that had been created', () => {
  const told = history();
  told.tell({ tell: 'gone', id: 'a' });
  expect(told.violations.map(({ anomaly }) => anomaly)).toEqual(['lost']);
});

test('a segment whose creation had no answer may be unknown', () => {
  const told = new History();
  told.tell({ tell: 'create', id: 'b' });
  expect(told.open).toEqual(['b']);
  told.tell({ tell: 'gone', id: 'b' });
  expect(told.violations).toEqual([]);
  expect(told.open).toEqual([]);
});

test('lost is an acknowledgement past an end that was settled', () => {
  const told = history();
  told.tell({ tell: 'ended', id: 'a', end: 14 });
  told.tell({ tell: 'acknowledged', id: 'a', base: 14, next: 16 });
  expect(told.violations.map(({ anomaly }) => anomaly)).toEqual(['lost']);
});

test('moved is an end that was another one before', () => {
  const told = history();
  told.tell({ tell: 'ended', id: 'a', end: 14 });
  told.read('a', [...SOUND, ...DOUBTED], 16);
  expect(told.violations.map(({ anomaly }) => anomaly)).toContain('moved');
});

test('renumbered is an acknowledgement that covers other offsets than were called', () => {
  const told = history();
  told.tell({ tell: 'acknowledged', id: 'a', base: 14, next: 15 });
  expect(told.violations.map(({ anomaly }) => anomaly)).toEqual(['renumbered']);
});

function print(crc: number, records: number): Print {
  return { crc, records };
}

function at(base: number, crc: number, records: number): Print & { readonly base: number } {
  return { base, crc, records };
}
