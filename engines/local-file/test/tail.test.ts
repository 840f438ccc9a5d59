import { SeededRandom } from '@robustmq/core/testing';
import { expect, test } from 'vitest';
import { Tail } from '../src/segment/tail.ts';

test('a tail gives back the bytes it took, for reading and for the file, whatever the sizes', () => {
  const seed = 11;
  const random = new SeededRandom(seed);
  const below = (most: number): number => Math.floor(random.next() * most);
  const bytes = Buffer.from(Array.from({ length: 2_000_000 }, () => below(256)));
  const file = Buffer.alloc(bytes.length);
  const scratch = Buffer.alloc(64 * 1024);
  const tail = new Tail(0);
  while (tail.end < bytes.length) {
    // most are small; some are larger than a chunk, and some than all that is gathered for one write
    const size = Math.min(1 + below(below(20) === 0 ? 150_000 : 3000), bytes.length - tail.end);
    tail.append(bytes.subarray(tail.end, tail.end + size));
    if (below(3) === 0) {
      const from = tail.start + below(tail.bytes);
      const into = Buffer.alloc(1 + below(tail.end - from));
      tail.copy(into, 0, from, into.length);
      expect(into.equals(bytes.subarray(from, from + into.length)), `seed ${seed}, at ${from}`).toBe(true);
    }
    if (below(20) > 0) continue;
    const piece = tail.oldest(scratch);
    // what is appended while the disk has the piece is not in it
    const more = bytes.subarray(tail.end, tail.end + below(5000));
    tail.append(more);
    if (piece === undefined) throw new Error('nothing to write');
    expect(piece.position).toBe(tail.start);
    file.set(piece.bytes, piece.position);
    tail.written();
    expect(tail.start).toBe(piece.position + piece.bytes.length);
  }
  for (let piece = tail.oldest(scratch); piece !== undefined; piece = tail.oldest(scratch)) {
    file.set(piece.bytes, piece.position);
    tail.written();
  }
  expect(file.equals(bytes)).toBe(true);
  expect(tail).toMatchObject({ bytes: 0, held: 0 });
});

test('what is appended while the disk has a piece is not taken for written, however small the piece', () => {
  const tail = new Tail(30);
  expect(tail.memoryStart).toBe(30);
  tail.append(Buffer.from('first'));
  const scratch = Buffer.alloc(2);
  expect(tail.oldest(scratch)).toMatchObject({ position: 30, bytes: Buffer.from('first') });
  tail.append(Buffer.from('second'));
  tail.written();
  expect([tail.start, tail.memoryStart, tail.bytes]).toEqual([35, 35, 6]);
  expect(tail.oldest(scratch)).toMatchObject({ position: 35, bytes: Buffer.from('second') });
});
