import type { FileHandle } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import type { FileCache } from '../src/file-cache.ts';
import { SegmentPaths } from '../src/segment/segment-files.ts';
import { SegmentLog } from '../src/segment/segment-log.ts';
import { encodeIndexHeader, SparseIndex } from '../src/segment/sparse-index.ts';
import type { LogFile } from '../src/wal/log-reads.ts';
import { batch } from './batches.ts';

const BASE = 10;
const INTERVAL = 4096;
const HEADER_BYTES = 61;
const paths = new SegmentPaths('/r');
const LOG = paths.of('a', 'log');
const INDEX = paths.of('a', 'index');

interface Stored {
  readonly base: number;
  readonly next: number;
  readonly timestamp: number;
  readonly bytes: Buffer;
  readonly position: number;
}

/** Holes between batches, batches of several records, times in no order, and sizes up to more than one step of a scan. */
const made = new Map<number, readonly Stored[]>();
function stored(seed: number): readonly Stored[] {
  const before = made.get(seed) ?? make(seed);
  made.set(seed, before);
  return before;
}

function make(seed: number): Stored[] {
  const random = new SeededRandom(seed);
  const all: Stored[] = [];
  let offset = BASE;
  let position = 0;
  for (let i = 0; i < 60; i++) {
    if (random.next() < 0.3) offset += 1 + Math.floor(random.next() * 5);
    const count = 1 + Math.floor(random.next() * 4);
    const size = i === 30 ? 200_000 : Math.floor(random.next() * 4000);
    const timestamp = Math.floor(random.next() * 1000);
    const bytes = batch(offset, size, count, timestamp);
    all.push({ base: offset, next: offset + count, timestamp, bytes, position });
    offset += count;
    position += bytes.length;
  }
  return all;
}

/** A log all of which is in its file, and its index, too; each read of a file is noted. */
function world(batches: readonly Stored[], { end = batches.at(-1)?.next ?? BASE } = {}) {
  const whole = new SparseIndex(INTERVAL);
  for (const { base, position, timestamp } of batches) whole.add(base, position, timestamp);
  const files = new Map([
    [LOG, Buffer.concat(batches.map(({ bytes }) => bytes))],
    [INDEX, Buffer.concat([encodeIndexHeader(BASE), whole.encode(0)])],
  ]);
  const reads: string[] = [];
  const cache = {
    with: async (path: string, create: boolean, use: (file: FileHandle) => Promise<unknown>) => {
      expect(create).toBe(false);
      const bytes = files.get(path);
      if (bytes === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return await use({
        read: async (into: Buffer, at: number, length: number, position: number) => {
          reads.push(`${path === LOG ? 'log' : 'index'} ${position} ${length}`);
          if (position >= bytes.length) return 0;
          return bytes.copy(into, at, position, Math.min(bytes.length, position + length));
        },
      } as unknown as FileHandle); // nothing else of it is used
    },
  } as FileCache;
  const bytes = files.get(LOG)?.length ?? 0;
  const index = new SparseIndex(INTERVAL, {
    count: whole.count,
    lastPosition: whole.lastPosition,
    maxTimestamp: whole.maxTimestamp,
  });
  const log = new SegmentLog('a', paths, cache, { base: BASE, end, bytes, index });
  return { log, files, reads, whole };
}

const SEEDS = [1, 2, 3];

describe('a segment in its file', () => {
  test.each(SEEDS)('gives from every offset what lies there, in whole batches: seed %i', async (seed) => {
    const batches = stored(seed);
    const end = (batches.at(-1)?.next ?? 0) + 3;
    for (let from = BASE; from <= end + 1; from++) {
      // a new one each time: where the last read ended helps no other
      const { log } = world(batches, { end });
      for (const maxBytes of [1, 5000, 1 << 20]) {
        const read = await world(batches, { end }).log.read(from, maxBytes);
        const first = batches.findIndex(({ next }) => next > from);
        if (first < 0) expect(read).toEqual({ bytes: new Uint8Array(0), next: end });
        else {
          const wanted: Stored[] = [];
          let sum = 0;
          for (const one of batches.slice(first)) {
            if (wanted.length > 0 && sum + one.bytes.length > maxBytes) break;
            wanted.push(one);
            sum += one.bytes.length;
          }
          expect(read.next).toBe(wanted.at(-1)?.next);
          expect(Buffer.concat(wanted.map(({ bytes }) => bytes)).equals(read.bytes)).toBe(true);
        }
      }
      expect(log.end).toBe(end);
    }
  });

  test.each(SEEDS)('finds the first batch at or after every time: seed %i', async (seed) => {
    const batches = stored(seed);
    for (let timestamp = -1; timestamp <= 1001; timestamp += 7) {
      const wanted = batches.find((one) => one.timestamp >= timestamp)?.base;
      expect(await world(batches).log.offsetForTimestamp(timestamp)).toBe(wanted);
    }
    const most = Math.max(...batches.map(({ timestamp }) => timestamp));
    expect(await world(batches).log.offsetForTimestamp(most)).toBe(batches.find((one) => one.timestamp === most)?.base);
  });

  test('knows without a read that no batch is so late, and that an empty segment has none', async () => {
    const batches = stored(1);
    const { log, reads } = world(batches);
    expect(await log.offsetForTimestamp(5000)).toBeUndefined();
    expect(reads).toEqual([]);
    const empty = world([], { end: BASE + 4 });
    expect(await empty.log.offsetForTimestamp(-(2 ** 53))).toBeUndefined();
    for (const from of [BASE, BASE + 2, BASE + 4])
      expect(await empty.log.read(from, 100)).toEqual({ bytes: new Uint8Array(0), next: BASE + 4 });
    expect(empty.reads).toEqual([]);
  });

  test.each([0, 1, 2, 3, 4])(
    'goes on where one of the last four reads ended, without looking for it: %i',
    async (which) => {
      const batches = stored(2);
      const { log, reads } = world(batches);
      const ends: { readonly next: number; readonly position: number }[] = [];
      for (const at of [3, 12, 20, 40, 50]) {
        const one = batches[at];
        if (one === undefined) throw new Error('there are fewer');
        expect((await log.read(one.base, 1)).next).toBe(one.next);
        ends.push({ next: one.next, position: one.position + one.bytes.length });
      }
      reads.length = 0;
      const { next = 0, position = 0 } = ends[which] ?? {};
      await log.read(next, 1);
      expect(reads.length).toBeGreaterThan(0);
      // the batch behind it may be larger than its header, which was asked for: one read, and one more of all of it
      expect(reads.every((read) => read.startsWith(`log ${position} `))).toBe(which > 0);
    },
  );

  test('looks at few bytes in front of what it looks for', async () => {
    const batches = stored(3);
    const last = batches.at(-1);
    const { log, reads } = world(batches);
    expect((await log.read(last?.base ?? 0, 1)).next).toBe(last?.next);
    const positions = reads.filter((read) => read.startsWith('log')).map((read) => Number(read.split(' ')[1]));
    expect((last?.position ?? 0) - Math.min(...positions)).toBeLessThan(2 * INTERVAL + 4100);
  });
});

/** The first `inFile` batches in the file, those up to `inLog` in a file of the log, four at a time, and the others in memory. */
function spread(batches: readonly Stored[], inFile: number, inLog: number, end = batches.at(-1)?.next ?? BASE) {
  const { log, files } = world(batches.slice(0, inFile));
  // no file before anything is in it
  if (inFile === 0) files.delete(LOG);
  const logged = Buffer.concat([Buffer.alloc(1000), ...batches.slice(inFile, inLog).map(({ bytes }) => bytes)]);
  const state = { beforeRead: async (): Promise<void> => {} };
  const file = {
    hold: () => {},
    release: () => {},
    read: async (into: Buffer, at: number, length: number, position: number) => {
      await state.beforeRead();
      return logged.copy(into, at, position, position + length);
    },
  } as unknown as LogFile; // nothing else of it is used
  let place = 1000;
  for (let at = inFile; at < inLog; at += 4) {
    const bytes = Buffer.concat(batches.slice(at, Math.min(inLog, at + 4)).map((one) => one.bytes));
    log.adopt(bytes, file, place);
    place += bytes.length;
  }
  for (const { bytes, next } of batches.slice(inLog)) log.commit([bytes], next);
  log.end = end;
  /** Writes so much of what lies in the log to the file, after which somebody else may have its place in the log. */
  const move = async (bytes: number): Promise<void> => {
    const { beforeRead } = state;
    state.beforeRead = async () => {};
    const piece = await log.tail.oldestInLog(Buffer.alloc(bytes));
    state.beforeRead = beforeRead;
    if (piece === undefined) return;
    const before = files.get(LOG) ?? Buffer.alloc(0);
    expect(before.length).toBe(piece.position);
    files.set(LOG, Buffer.concat([before, piece.bytes]));
    log.tail.written();
    const from = 1000 + piece.position - (batches[inFile]?.position ?? 0);
    logged.fill(0xee, from, from + piece.bytes.length);
  };
  return { log, files, state, move };
}

describe('a segment in its file, in the log, and in memory', () => {
  test.each([
    [0, 0],
    [0, 25],
    [0, 60],
    [20, 20],
    [20, 40],
    [30, 31],
    [29, 60],
    [59, 59],
  ])('is read across all of them: %i batches in the file, up to %i in the log', async (inFile, inLog) => {
    const batches = stored(2);
    const all = Buffer.concat(batches.map(({ bytes }) => bytes));
    const { log } = spread(batches, inFile, inLog);
    expect([log.bytes, log.end, log.index.maxTimestamp]).toEqual([
      all.length,
      batches.at(-1)?.next,
      Math.max(...batches.map(({ timestamp }) => timestamp)),
    ]);
    await log.loadIndex();
    expect(log.index.entries).toEqual(world(batches).whole.entries);
    for (const one of batches)
      for (const maxBytes of [1, 9000, 1 << 20]) {
        // one that no read has been at before, and one that goes on
        for (const of of batches.indexOf(one) % 7 === 0 ? [spread(batches, inFile, inLog).log, log] : [log]) {
          const { bytes, next } = await of.read(one.base, maxBytes);
          expect(all.subarray(one.position, one.position + bytes.length).equals(bytes)).toBe(true);
          const behind = batches.find(({ position }) => position >= one.position + bytes.length);
          expect(next).toBe(behind === undefined ? log.end : batches[batches.indexOf(behind) - 1]?.next);
          expect(bytes.length).toBeLessThanOrEqual(Math.max(maxBytes, one.bytes.length));
        }
      }
    for (let timestamp = 0; timestamp <= 1000; timestamp += 50)
      expect(await log.offsetForTimestamp(timestamp)).toBe(batches.find((one) => one.timestamp >= timestamp)?.base);
  });

  test.each([1, 2, 5, 1000])(
    'is read whole though the log is written to the file meanwhile, in %i turns',
    async (turns) => {
      const batches = stored(3);
      const all = Buffer.concat(batches.map(({ bytes }) => bytes));
      for (const inFile of [0, 10]) {
        const { log, state, move } = spread(batches, inFile, 50);
        let left = turns;
        state.beforeRead = async () => {
          if (left-- > 0) await move(turns === 1 ? all.length : 3000);
        };
        const { bytes, next } = await log.read(BASE, all.length);
        expect(all.equals(bytes)).toBe(true);
        expect(next).toBe(log.end);
        expect(left).toBeLessThan(turns);
      }
    },
  );
});

test('where the last read ended, a hole that reaches the end is nothing to read', async () => {
  const batches = stored(1);
  const last = batches.at(-1);
  if (last === undefined) throw new Error('there are some');
  const { log } = world(batches, { end: last.next + 5 });
  expect((await log.read(last.base, 1)).next).toBe(last.next);
  expect(await log.read(last.next, 100)).toEqual({ bytes: new Uint8Array(0), next: last.next + 5 });
});

describe('the index of a segment', () => {
  test('is read once, for all that ask at the same time', async () => {
    const batches = stored(1);
    const { log, reads, whole } = world(batches);
    await Promise.all([log.loadIndex(), log.loadIndex(), log.offsetForTimestamp(500)]);
    expect(reads.filter((read) => read.startsWith('index'))).toEqual([`index 0 ${(whole.count + 1) * 32}`]);
    expect(log.index.entries).toEqual(whole.entries);
    await log.loadIndex();
    expect(reads.filter((read) => read.startsWith('index'))).toHaveLength(1);
    expect(log.indexSaved).toBe(whole.count);
  });

  test.each([
    ['is gone', () => undefined],
    ['is cut', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['is damaged', (bytes: Buffer) => bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte))],
  ])('is made again from the log when it %s, and saved again from its beginning', async (_, change) => {
    const { log, files, whole } = world(stored(1));
    const changed = change(files.get(INDEX) ?? Buffer.alloc(0));
    if (changed === undefined) files.delete(INDEX);
    else files.set(INDEX, Buffer.from(changed));
    await log.loadIndex();
    expect(log.index.entries).toEqual(whole.entries);
    expect(log.index.unloaded).toBe(0);
    expect(log.indexSaved).toBe(0);
  });

  test('is asked for again after it could not be had', async () => {
    const { log, files, whole } = world(stored(1));
    const bytes = files.get(LOG) ?? Buffer.alloc(0);
    files.delete(INDEX);
    files.delete(LOG);
    await expect(log.loadIndex()).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
    files.set(LOG, bytes);
    await log.loadIndex();
    expect(log.index.entries).toEqual(whole.entries);
  });

  test('is made again as far as it was saved only: what came since is in memory', async () => {
    const batches = stored(2);
    const { log, files } = world(batches.slice(0, 40));
    for (const { bytes, next } of batches.slice(40)) log.commit([bytes], next);
    files.delete(INDEX);
    await log.loadIndex();
    expect(log.index.entries).toEqual(world(batches).whole.entries);
  });
});

describe('a file that somebody else has changed', () => {
  const lost = async (change: (files: Map<string, Buffer>, log: SegmentLog) => void, from = BASE + 60) => {
    const { log, files } = world(stored(1));
    change(files, log);
    return await log.read(from, 100).then(
      () => undefined,
      (error: unknown) => error,
    );
  };

  test('is told when it is gone, unless the segment was deleted', async () => {
    expect(await lost((files) => files.delete(LOG))).toMatchObject({
      code: 'SEGMENT_LOST',
      where: expect.stringContaining(LOG),
    });
    expect(
      await lost((files, log) => {
        files.delete(LOG);
        log.deleted = true;
      }),
    ).toMatchObject({ code: 'SEGMENT_UNKNOWN' });
    expect(
      await lost((files, log) => {
        files.set(LOG, Buffer.alloc(0));
        log.deleted = true;
      }),
    ).toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  });

  test('is told when it is shorter, with the byte up to which it was read', async () => {
    const { log, files } = world(stored(1));
    files.set(LOG, (files.get(LOG) ?? Buffer.alloc(0)).subarray(0, 70));
    await expect(log.read(BASE, 100)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('The file of the segment ends before byte 100 '),
    });
  });

  test('is told when a read fails, as the disk says it', async () => {
    const broken = { with: () => Promise.reject(Object.assign(new Error('i/o'), { code: 'EIO' })) };
    const index = new SparseIndex(INTERVAL);
    const log = new SegmentLog('a', paths, broken as unknown as FileCache, { base: BASE, end: 20, bytes: 500, index });
    await expect(log.read(BASE, 100)).rejects.toMatchObject({ code: 'EIO' });
  });

  test.each([
    ['smaller than a header', () => HEADER_BYTES - 13],
    ['larger than what is left', (left: number) => left - 12 + 1],
  ])('is told when the length of a batch is %s, where it is read and where it is stepped over', async (_, length) => {
    const batches = stored(1);
    for (const at of [0, 25]) {
      const one = batches[at];
      if (one === undefined) throw new Error('there are fewer');
      const garble = (files: Map<string, Buffer>): void => {
        const bytes = files.get(LOG) ?? Buffer.alloc(0);
        bytes.writeInt32BE(length(bytes.length - one.position), one.position + 8);
      };
      const what = {
        code: 'CORRUPT',
        message: expect.stringContaining(`No batch begins at byte ${one.position}, where one must`),
      };
      expect(await lost(garble, one.base)).toMatchObject(what);
      // in the middle of what lies between two entries of the index
      const { log, files } = world(batches);
      garble(files);
      files.delete(INDEX);
      await expect(log.loadIndex()).rejects.toMatchObject(what);
    }
  });

  test('is told when less than a header is left at its end', async () => {
    const batches = stored(1);
    const last = batches.at(-1);
    if (last === undefined) throw new Error('there are some');
    const { files } = world(batches);
    const bytes = Buffer.concat([files.get(LOG) ?? Buffer.alloc(0), Buffer.alloc(30)]);
    const facts = { base: BASE, end: last.next + 1, bytes: bytes.length, index: new SparseIndex(INTERVAL) };
    const read = async (_: Buffer, at: number, length: number, position: number) => {
      return bytes.copy(_, at, position, position + length);
    };
    const cache = { with: (_: string, __: boolean, use: (file: FileHandle) => unknown) => use({ read } as never) };
    const begin = () => new SegmentLog('a', paths, cache as unknown as FileCache, facts);
    const what = {
      code: 'CORRUPT',
      message: expect.stringContaining(`No batch begins at byte ${last.position + last.bytes.length}`),
    };
    await expect(begin().read(last.next, 100)).rejects.toMatchObject(what);
    const log = begin();
    await log.read(last.base, 1);
    await expect(log.read(last.next, 100)).rejects.toMatchObject(what);
  });

  test('is not told of a last batch that is as small as can be', async () => {
    const [first, small] = [batch(BASE, 300), batch(BASE + 1, 0)];
    const stored = [
      { base: BASE, next: BASE + 1, timestamp: 1000 + BASE, bytes: first, position: 0 },
      { base: BASE + 1, next: BASE + 2, timestamp: 1001 + BASE, bytes: small, position: first.length },
    ];
    expect((await world(stored).log.read(BASE + 1, 1)).bytes).toEqual(small);
    // as the first of what a step reads
    const cut = 64 * 1024 - 61;
    const large = [
      { base: BASE, next: BASE + 1, timestamp: 1000 + BASE, bytes: batch(BASE, cut), position: 0 },
      { base: BASE + 1, next: BASE + 2, timestamp: 1001 + BASE, bytes: small, position: cut + 61 },
    ];
    expect((await world(large).log.read(BASE + 1, 1)).bytes).toEqual(small);
  });

  test('is not told of batches of the smallest and the largest size', async () => {
    const [small, last] = [batch(BASE, 0), batch(BASE + 1, 300)];
    const stored = [
      { base: BASE, next: BASE + 1, timestamp: 1000 + BASE, bytes: small, position: 0 },
      { base: BASE + 1, next: BASE + 2, timestamp: 1001 + BASE, bytes: last, position: small.length },
    ];
    const { log, files } = world(stored);
    expect((await log.read(BASE, 1)).bytes).toEqual(small);
    expect((await world(stored).log.read(BASE + 1, 1)).bytes).toEqual(last);
    files.delete(INDEX);
    await log.loadIndex();
    expect(await log.offsetForTimestamp(1001 + BASE)).toBe(BASE + 1);
  });
});
