import type { FileHandle } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import { Extents } from '../src/segment/extents.ts';
import { LogFile } from '../src/wal/log-reads.ts';

const KIB = 1024;

/** Bytes that tell where they are from; the same for every file of a name. */
const contents = new Map<string, Buffer>();
function contentOf(name: string): Buffer {
  const bytes = contents.get(name) ?? Buffer.alloc(1024 * KIB);
  if (!contents.has(name))
    for (let at = 0; at < bytes.length; at++) bytes[at] = at * 31 + (at >>> 8) + name.charCodeAt(0);
  contents.set(name, bytes);
  return bytes;
}

/** A file of the log; each read of it is noted. */
function logFile(name: string) {
  const bytes = contentOf(name);
  const state = { name, bytes, cut: bytes.length, reads: [] as string[], isOpen: true, beforeRead: async () => {} };
  const handle = {
    read: async (into: Uint8Array, at: number, length: number, position: number) => {
      state.reads.push(`${position} ${length}`);
      await state.beforeRead();
      return position >= state.cut ? 0 : bytes.copy(into, at, position, Math.min(state.cut, position + length));
    },
  } as unknown as FileHandle; // nothing else of it is used
  const file = new LogFile(name, handle, () => {
    state.isOpen = false;
  });
  return Object.assign(state, { file });
}

type File = ReturnType<typeof logFile>;

/** Extents from `start` on, and the bytes that they stand for. */
function extentsOf(start: number, pieces: readonly (readonly [File, place: number, length: number])[]) {
  const extents = new Extents(start);
  for (const [{ file }, place, length] of pieces) extents.add(file, place, length);
  const expected = Buffer.concat(pieces.map(([{ bytes }, place, length]) => bytes.subarray(place, place + length)));
  return { extents, expected };
}

/** Reads a range to the middle of a buffer, and looks at what is around it, too. */
async function readsAs(extents: Extents, start: number, expected: Buffer, from: number, to: number): Promise<void> {
  const into = Buffer.alloc(to - from + 12, 0xee);
  await extents.read(into, 5, from, to - from);
  const wanted = Buffer.concat([
    Buffer.alloc(5, 0xee),
    expected.subarray(from - start, to - start),
    Buffer.alloc(7, 0xee),
  ]);
  expect(into.equals(wanted), `${from} to ${to}`).toBe(true);
}

describe('a part of a segment that lies in the log', () => {
  test.each([1, 2, 3, 4])('is read from wherever its pieces are, each range of it: seed %i', async (seed) => {
    const random = new SeededRandom(seed);
    const upTo = (most: number): number => Math.floor(random.next() * most);
    const files = ['a', 'b', 'c'].map((name) => logFile(name));
    const pieces: [File, number, number][] = [];
    for (const file of files) {
      let place = upTo(100);
      for (let i = 0; i < 40; i++) {
        const length = 1 + upTo(i % 10 === 0 ? 20 * KIB : 300);
        pieces.push([file, place, length]);
        // next to it, near, far, or in front of it
        const step = upTo(8);
        place += step < 4 ? length : step < 6 ? length + upTo(500) : step < 7 ? length + 17 * KIB : 0;
        if (step === 7) place = upTo(place);
      }
    }
    const start = 1000;
    const { extents, expected } = extentsOf(start, pieces);
    expect(extents.end).toBe(start + expected.length);
    const edges = [start, extents.end];
    let at = start;
    for (const [, , length] of pieces) {
      at += length;
      edges.push(at - 1, at, at + 1);
    }
    const usable = edges.filter((edge) => edge >= start && edge <= extents.end);
    await readsAs(extents, start, expected, start, extents.end);
    for (let i = 0; i < 150; i++) {
      const [one = start, other = start] = [0, 1].map(() => usable[upTo(usable.length)] ?? start);
      await readsAs(extents, start, expected, Math.min(one, other), Math.max(one, other));
    }
  });

  test('is read at once where pieces lie near each other, with what is in between', async () => {
    const near = 16 * KIB;
    const cases: readonly (readonly [what: string, second: number, length: number, reads: readonly string[]])[] = [
      ['next to each other', 100, 50, ['0 150']],
      ['far behind', 500 * KIB + 100, 50, ['512000 150']],
      ['by itself more than is read at once', 100, 300 * KIB, ['0 100', '100 307200']],
      ['as far as is worth it', 100 + near, 50, [`0 ${150 + near}`]],
      ['too far', 101 + near, 50, ['0 100', `${101 + near} 50`]],
      ['in front of the other', 500 * KIB - 1, 50, ['512000 100', '511999 50']],
      ['as much as is read at once', 100, 256 * KIB - 100, [`0 ${256 * KIB}`]],
      ['more than that', 100, 256 * KIB - 99, ['0 100', `100 ${256 * KIB - 99}`]],
    ];
    for (const [what, second, length, reads] of cases) {
      const file = logFile('a');
      const first = what === 'in front of the other' || what === 'far behind' ? 500 * KIB : 0;
      const { extents, expected } = extentsOf(0, [
        [file, first, 100],
        [file, second, length],
      ]);
      await readsAs(extents, 0, expected, 0, extents.end);
      expect(file.reads, what).toEqual(reads);
    }
  });

  test('is read no further than was asked for', async () => {
    const file = logFile('a');
    const other = logFile('b');
    const { extents, expected } = extentsOf(10, [
      [file, 0, 100],
      [file, 200, 100],
      [file, 400, 100],
      [other, 0, 100],
    ]);
    for (const [from, to, reads] of [
      [10, 110, ['0 100']],
      [109, 111, ['99 102']],
      [110, 210, ['200 100']],
      [150, 160, ['240 10']],
      [210, 310, ['400 100']],
      [110, 110, []],
      [309, 310, ['499 1']],
    ] as const) {
      file.reads.length = 0;
      await readsAs(extents, 10, expected, from, to);
      expect(file.reads, `${from} to ${to}`).toEqual(reads);
    }
    expect(other.reads).toEqual([]);
    await readsAs(extents, 10, expected, 310, 410);
    expect([file.reads, other.reads]).toEqual([['499 1'], ['0 100']]);
  });

  test('holds its files until all of what it has in them is passed, and not a byte longer', async () => {
    const a = logFile('a');
    const b = logFile('b');
    const { extents, expected } = extentsOf(0, [
      [a, 0, 100],
      [a, 300, 100],
      [b, 0, 100],
      [a, 900, 100],
      [b, 500, 100],
    ]);
    for (const { file } of [a, b]) file.release();
    const open = (): boolean[] => [a.isOpen, b.isOpen];
    extents.passed(199);
    expect(open()).toEqual([true, true]);
    await readsAs(extents, 0, expected, 199, 500);
    // it comes to it once more
    extents.passed(200);
    expect(open()).toEqual([true, true]);
    extents.passed(300);
    await readsAs(extents, 0, expected, 300, 500);
    extents.passed(400);
    expect(open()).toEqual([false, true]);
    await readsAs(extents, 0, expected, 400, 500);
    extents.clear();
    expect(open()).toEqual([false, false]);
    expect(extents.end).toBe(500);
    extents.clear();
  });

  test('goes on in one run where it goes on in the file, also after a part was passed', async () => {
    const a = logFile('a');
    const { extents } = extentsOf(0, [[a, 0, 100]]);
    a.file.release();
    extents.passed(50);
    extents.add(a.file, 100, 100);
    extents.passed(199);
    expect(a.isOpen).toBe(true);
    extents.passed(200);
    expect(a.isOpen).toBe(false);
  });

  test('is read to the end though it is passed meanwhile', async () => {
    const a = logFile('a');
    const b = logFile('b');
    const { extents, expected } = extentsOf(0, [
      [a, 0, 100],
      [b, 0, 100],
    ]);
    a.beforeRead = async () => extents.clear();
    await readsAs(extents, 0, expected, 0, 200);
  });

  test.each([
    ['a single piece', [[100, 50]], 149],
    [
      'pieces that are read together',
      [
        [100, 50],
        [200, 50],
      ],
      249,
    ],
  ] as const)('fails where the file was cut: %s', async (_, pieces, cut) => {
    const a = logFile('a');
    const { extents, expected } = extentsOf(
      0,
      pieces.map(([place, length]) => [a, place, length] as const),
    );
    a.cut = cut;
    await expect(extents.read(Buffer.alloc(200), 0, 0, expected.length)).rejects.toMatchObject({
      code: 'CORRUPT',
      where: 'a',
    });
    a.cut = cut + 1;
    await readsAs(extents, 0, expected, 0, expected.length);
  });
});
