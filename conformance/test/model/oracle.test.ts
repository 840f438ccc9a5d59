import { encodeBatch } from '@robustmq/core';
import { expect, test } from 'vitest';
import { bodyOf } from '../../src/batches.ts';
import type { Call, Part } from '../../src/model/call.ts';
import { Oracle } from '../../src/model/oracle.ts';

/** Two appends, at 0 (two batches of one record, acknowledged) and at 2 (in flight, as `open`). */
function begin(): { oracle: Oracle; open: Call } {
  const oracle = new Oracle(0);
  oracle.acknowledged(oracle.called([part('a'), part('b')], 0), 0, 2);
  return { oracle, open: oracle.called([part('c')], 2) };
}

test('what was acknowledged can be read, what is in flight may be', () => {
  const { oracle } = begin();
  oracle.checkRead(0, 1000, read(0, 'a', 'b'), [2, 2]);
  oracle.checkRead(1, 1, read(1, 'b'), [2, 2]);
  oracle.checkRead(0, 1000, read(0, 'a', 'b', 'c'), [2, 3]);
  oracle.checkCommitted(3);
});

test.each([
  ['a batch that nobody appended', /never appended/, (oracle: Oracle) => look(oracle, 0, 'a', 'x')],
  ['a batch twice', /offset of append 0/, (oracle: Oracle) => look(oracle, 0, 'a', 'a')],
  ['a batch at another offset', /offset of append 0/, (oracle: Oracle) => look(oracle, 0, 'b')],
  ['no batch though there is one', /gives nothing/, (oracle: Oracle) => look(oracle, 0)],
  [
    'more than is committed',
    /committed is 2/,
    (oracle: Oracle) => oracle.checkRead(0, 1000, read(0, 'a', 'b', 'c'), [2, 2]),
  ],
  ['more than was asked for', /asked for/, (oracle: Oracle) => oracle.checkRead(0, 80, read(0, 'a', 'b'), [2, 2])],
  [
    'an end inside an append',
    /not where an append ends/,
    (oracle: Oracle) => {
      oracle.called([part('d'), part('e')], 3);
      oracle.cut(4);
    },
  ],
  ['committed below what was acknowledged', /acknowledged up to 2/, (oracle: Oracle) => oracle.checkCommitted(1)],
  [
    'an append that was cut off by a recovery',
    /certain not to be there/,
    (oracle: Oracle) => {
      oracle.cut(2);
      look(oracle, 2, 'c');
    },
  ],
] as const)('%s is not let through', (_, message, wrong) => {
  expect(() => wrong(begin().oracle)).toThrow(message);
});

test('an append that failed with outcome none is not there, nor what was called behind it', () => {
  const { oracle, open } = begin();
  const behind = oracle.called([part('d')], 3);
  oracle.failed(open, 'none', true);
  expect(oracle.next).toBe(2);
  expect(() => oracle.acknowledged(behind, 3, 4)).toThrow(/certain not to be there/);
  expect(() => look(oracle, 2, 'c')).toThrow(/certain not to be there/);
});

test('an append of unknown outcome may be there, and is decided by the recovery', () => {
  for (const [end, message] of [
    [3, /failed with outcome none, and is there/],
    [2, undefined],
  ] as const) {
    const { oracle, open } = begin();
    oracle.failed(open, 'unknown', false);
    expect(oracle.doubtful).toBe(true);
    oracle.cut(end);
    const late = () => oracle.failed(open, 'none', false);
    if (message === undefined) late();
    else expect(late).toThrow(message);
  }
});

test('appends are acknowledged in the order of their calls', () => {
  const { oracle } = begin();
  expect(() => oracle.acknowledged(oracle.called([part('d')], 3), 3, 4)).toThrow(/acknowledged before append 1/);
});

function look(oracle: Oracle, from: number, ...names: readonly string[]): void {
  oracle.checkRead(from, 1000, read(from, ...names), [3, 3]);
}

function read(base: number, ...names: readonly string[]): { readonly bytes: Uint8Array; readonly next: number } {
  return { bytes: Buffer.concat(names.map((name, i) => batch(name, base + i))), next: base + names.length };
}

function part(name: string): Part {
  return { body: bodyOf(batch(name, 0)), records: 1, time: 0 };
}

function batch(name: string, baseOffset: number): Uint8Array {
  return encodeBatch([{ key: Buffer.from(name), value: null, timestamp: 0 }], { baseOffset });
}
