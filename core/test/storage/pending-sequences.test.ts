import { readHeader } from '@robustmq/core/batch';
import { expect, it } from 'vitest';
import { Producers } from '../../src/fold/producers.ts';
import { AppendEntry } from '../../src/shard/append-entry.ts';
import { PendingSequences } from '../../src/shard/pending-sequences.ts';
import { batch } from './harness.ts';

function refused(sequence: number): AppendEntry {
  const entry = new AppendEntry([batch(['x'], { id: 7, sequence })], 1024 * 1024, undefined, 0);
  entry.result.catch(() => {}); // it never settles
  return entry;
}

const header = (sequence: number) => readHeader(batch(['x'], { id: 7, sequence }), 0);

it.each([
  ['in their order', [30, 31]],
  ['the later one first', [31, 30]],
  ['with the end of all sequences in between', [0, 2 ** 31 - 1]],
])('of several batches that were refused the lowest comes first, when they were refused %s', (_, order) => {
  const pending = new PendingSequences();
  for (const sequence of order) pending.expect(refused(sequence));
  const [first, second] = order[0] === 0 ? [2 ** 31 - 1, 0] : [30, 31];
  const committed = new Producers();
  // a producer that is new here may begin anywhere, but not behind a batch of its own that was not stored
  expect(() => pending.check(header(second as number), committed)).toThrowError(/comes first/);
  expect(pending.check(header(first as number), committed)).toMatchObject({ kind: 'new' });
});

it('lets a batch in front of a refused one come first: what became of it was not known, so nobody waits for it by name', () => {
  const pending = new PendingSequences();
  pending.expect(refused(31));
  const committed = new Producers();
  expect(() => pending.check(header(32), committed)).toThrowError(/31 was refused/);
  expect(pending.check(header(30), committed)).toMatchObject({ kind: 'new' });
});
