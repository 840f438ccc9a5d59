import { type FileHandle, type FileSystem, isStorageError } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import { DiskSpace } from '../src/disk-space.ts';
import { FileCache } from '../src/file-cache.ts';
import { readInstance } from '../src/instance-file.ts';
import { OpenSegment } from '../src/segment/open-segment.ts';
import type { SegmentLog } from '../src/segment/segment-log.ts';
import { Tail } from '../src/segment/tail.ts';
import { SegmentTable } from '../src/segment-table.ts';
import { FilePreparer } from '../src/wal/file-preparer.ts';
import { LogReads } from '../src/wal/log-reads.ts';
import { WalFiles } from '../src/wal/wal-files.ts';
import { coded } from './scripted-disk.ts';

const MIB = 1024 * 1024;
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('room on the disk', () => {
  const begin = async (free: number, reserveBytes = 0) => {
    const clock = new VirtualClock();
    const disk = { free, asked: 0, fails: false };
    const told: string[] = [];
    const fs = {
      freeBytes: async () => {
        disk.asked++;
        if (disk.fails) throw coded('EIO');
        return disk.free;
      },
    } as unknown as FileSystem; // all that is asked for here
    const space = new DiskSpace({
      ...{ fs, dir: 'dir', clock, reserveBytes },
      onFull: (detail) => told.push(detail),
      onRoom: () => told.push('room'),
    });
    await space.check();
    return { clock, disk, space, told };
  };

  test('is given until it is used up, then asked for again: it was there all along', async () => {
    const { space, told, disk } = await begin(4 * MIB);
    expect(space.admit(MIB)).toBe(true);
    expect(space.admit(MIB)).toBe(false);
    expect([space.full, told.length]).toEqual([true, 1]);
    expect(space.admit(0)).toBe(false);
    await later();
    expect(disk.asked).toBe(2);
    expect([space.full, told.at(-1)]).toEqual([false, 'room']);
    expect(space.admit(MIB)).toBe(true);
  });

  test('that is not there is told of once, looked for in turns, and comes back when there is enough', async () => {
    const { space, told, disk, clock } = await begin(2 * MIB, 2 * MIB);
    expect([space.full, told.length]).toEqual([true, 1]);
    expect(told[0]).toContain(`${2 * MIB} are kept`);
    expect(clock.pending).toBe(1);
    disk.free = 3 * MIB - 1;
    await clock.advance(500);
    expect([space.full, told.length, clock.pending]).toEqual([true, 1, 1]);
    disk.free = 3 * MIB;
    await clock.advance(500);
    expect([space.full, told.at(-1), clock.pending]).toEqual([false, 'room', 0]);
  });

  test('is what the file system says by its errors when it can not say it in figures', async () => {
    const { space, disk, told, clock } = await begin(4 * MIB);
    disk.fails = true;
    await space.check();
    expect(space.admit(1024 * MIB)).toBe(true);
    space.reportFull('it said ENOSPC');
    space.reportFull('again');
    expect([space.full, told, space.admit(0)]).toEqual([true, ['it said ENOSPC'], false]);
    await clock.advance(500);
    expect(space.full).toBe(false);
  });

  test('is asked for more often when there is little, and by one at a time', async () => {
    const { space, disk, clock } = await begin(4 * MIB);
    space.tick();
    expect(disk.asked).toBe(1);
    await clock.advance(20);
    space.tick();
    space.tick();
    await later();
    expect(disk.asked).toBe(2);
    disk.free = 2 ** 40;
    await space.check();
    await clock.advance(999);
    space.tick();
    await later();
    expect(disk.asked).toBe(3);
    await clock.advance(1);
    space.tick();
    await later();
    expect(disk.asked).toBe(4);
  });

  test('is nobody’s business once the engine is closed', async () => {
    const { space, told, clock } = await begin(MIB, 2 * MIB);
    expect(clock.pending).toBe(1);
    const retry = clock.advance(500);
    space.close();
    await retry;
    expect(clock.pending).toBe(0);
    const other = await begin(4 * MIB);
    other.space.close();
    other.space.reportFull('late');
    expect([other.space.full, other.told, told.length]).toEqual([false, [], 1]);
  });
});

describe('open files of segments', () => {
  const begin = (limit: number) => {
    const calls: string[] = [];
    const disk = { missing: new Set<string>(), fails: undefined as unknown, calls };
    const fs = {
      open: async (path: string, flags: string) => {
        calls.push(`open ${flags} ${path}`);
        if (disk.fails !== undefined) throw disk.fails;
        if (disk.missing.has(path) && flags === 'r+') throw coded('ENOENT');
        disk.missing.delete(path);
        const close = async (): Promise<void> => {
          calls.push(`close ${path}`);
          if (path === 'stuck') throw coded('EIO');
        };
        return { close } as unknown as FileHandle; // all that is asked for here
      },
    } as unknown as FileSystem; // as above
    return { cache: new FileCache(fs, limit), disk, calls };
  };
  const nothing = async (): Promise<void> => {};

  test('are opened once, and the one that was used longest ago is closed when there are too many', async () => {
    const { cache, calls } = begin(2);
    for (const path of ['a', 'b', 'a', 'c', 'a']) await cache.with(path, false, nothing);
    await later();
    expect(calls).toEqual(['open r+ a', 'open r+ b', 'open r+ c', 'close b']);
    expect(cache.open).toBe(2);
  });

  test('stay open while anybody uses them', async () => {
    const { cache, calls } = begin(1);
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const uses = ['a', 'b'].map((path) => cache.with(path, false, () => gate));
    await cache.with('c', false, nothing);
    await later();
    expect(calls.filter((call) => call.startsWith('close'))).toEqual(['close c']);
    cache.forget('a');
    cache.forget('a');
    cache.forget('nobody');
    await later();
    expect(calls).not.toContain('close a');
    // another one of the name is another file
    await cache.with('a', false, nothing);
    expect(calls.filter((call) => call === 'open r+ a').length).toBe(2);
    go();
    await Promise.all(uses);
    await cache.close();
    expect(calls.filter((call) => call === 'close a').length).toBe(2);
    expect(cache.open).toBe(0);
  });

  test('stay open until the last of those who use them has done, and nobody gets one that is replaced', async () => {
    const { cache, calls } = begin(4);
    const goes: (() => void)[] = [];
    const used = [0, 1].map(() => cache.with('a', false, () => new Promise<void>((resolve) => goes.push(resolve))));
    await later();
    cache.forget('a');
    goes[0]?.();
    await used[0];
    await later();
    expect(calls).toEqual(['open r+ a']);
    // one that fails closes the new one as little
    await cache.with('a', false, nothing);
    const failed = used[1]?.then(() => Promise.reject(new Error('no')));
    goes[1]?.();
    await expect(failed).rejects.toThrow('no');
    await later();
    expect(calls).toEqual(['open r+ a', 'open r+ a', 'close a']);
    await cache.with('a', false, nothing);
    expect(calls).toHaveLength(3);
  });

  test('are closed when closing is done, those in use, too', async () => {
    let goOn = (): void => {};
    const close = () => new Promise<void>((resolve) => (goOn = resolve));
    const fs = { open: async () => ({ close }) } as unknown as FileSystem; // all that is asked for here
    const cache = new FileCache(fs, 4);
    await cache.with('a', false, nothing);
    let done = false;
    const closing = cache.close().then(() => {
      done = true;
    });
    await later();
    expect(done).toBe(false);
    goOn();
    await closing;
  });

  test('are opened anew after any failure of theirs', async () => {
    const { cache, calls } = begin(4);
    await expect(cache.with('a', false, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await cache.with('a', false, nothing);
    expect(calls).toEqual(['open r+ a', 'close a', 'open r+ a']);
    const forgotten = cache.with('b', false, async () => {
      cache.forget('b');
      throw new Error('no');
    });
    await expect(forgotten).rejects.toThrow('no');
    expect(calls.filter((call) => call === 'close b').length).toBe(1);
    await cache.with('stuck', false, nothing);
    await cache.close();
    expect(cache.open).toBe(0);
  });

  test('are made when they are missing and that was asked for, and only then', async () => {
    const { cache, disk, calls } = begin(4);
    disk.missing.add('a');
    await expect(cache.with('a', false, nothing)).rejects.toMatchObject({ code: 'ENOENT' });
    await cache.with('a', true, nothing);
    expect(calls.at(-1)).toBe('open wx+ a');
    disk.fails = coded('EACCES');
    await expect(cache.with('b', true, nothing)).rejects.toMatchObject({ code: 'EACCES' });
    expect(calls.at(-1)).toBe('open r+ b');
    expect(cache.open).toBe(1);
    await cache.close();
  });
});

describe('files of the log', () => {
  const begin = (limit = 3) => {
    const removed: string[] = [];
    const fs = { unlink: async (path: string) => void removed.push(path) } as unknown as FileSystem; // as above
    return { files: new WalFiles(fs, 'wal', limit, [], { generation: 2, nextSequence: 5 }), removed };
  };

  test('are granted in turn, as many as there may be, and again when what they hold is needed no more', async () => {
    const { files, removed } = begin(2);
    expect(files.grant()).toBeUndefined();
    expect(files.grantEmpty()).toEqual({ path: 'wal/000000.wal', sequence: 5, zeroedBytes: 0 });
    expect(files.grantEmpty()?.sequence).toBe(6);
    expect(files.grantEmpty()).toBeUndefined();
    expect(await files.prepare({} as never)).toBe(false);
    expect([files.spare, files.firstGranted]).toEqual([false, 5]);
    files.entered(5);
    files.left(5, 8192);
    files.left(77, 4096);
    files.entered(6);
    expect(files.namesFrom(5)).toEqual(['000000.wal', '000001.wal']);
    expect(files.from(6).map(({ sequence }) => sequence)).toEqual([6]);
    await files.release(6);
    expect(files.from(5).map(({ sequence }) => sequence)).toEqual([6]);
    expect(files.grant()).toEqual({ path: 'wal/000000.wal', sequence: 7, zeroedBytes: 8192 });
    expect(removed).toEqual([]);
  });

  test('that have failed are kept while they are needed, never granted again, and bounded', async () => {
    const { files, removed } = begin(2);
    files.grantEmpty();
    files.grantEmpty();
    files.entered(5);
    expect(files.retire(5)).toBe(true);
    expect(files.from(5).map(({ sequence, state }) => [sequence, state])).toEqual([
      [5, 'retired'],
      [6, 'retired'],
    ]);
    // one that was jumped over may never have been made
    expect(files.namesFrom(0)).toEqual(['000000.wal']);
    expect(files.namesFrom(6)).toEqual([]);
    expect(files.grant()).toBeUndefined();
    expect(files.grantEmpty()?.sequence).toBe(7);
    await files.release(6);
    expect(removed).toEqual(['wal/000000.wal']);
    let left = true;
    for (let sequence = 7; left; sequence++) {
      left = files.retire(sequence);
      if (files.grantEmpty() === undefined) break;
      expect(sequence).toBeLessThan(40);
    }
    expect(left).toBe(false);
  });

  test('that are entered prove those in front of them to have been used', () => {
    const { files } = begin(3);
    files.grantEmpty();
    files.grantEmpty();
    files.entered(6);
    expect(files.from(0).map(({ sequence, present }) => [sequence, present])).toEqual([
      [5, false],
      [6, true],
    ]);
  });
});

describe('a tail whose first part lies in the log', () => {
  const begin = async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31) & 0xff));
    const disk = { cut: bytes.length };
    const handle = {
      size: async () => bytes.length,
      read: async (into: Uint8Array, at: number, length: number, position: number) =>
        bytes.copy(into, at, position, Math.min(disk.cut, position + length)),
      close: async () => {},
    } as unknown as FileHandle; // as above
    const reads = new LogReads({ open: async () => handle } as unknown as FileSystem); // as above
    const file = await reads.file('x');
    if (file === undefined) throw new Error('it is there');
    return { bytes, disk, reads, file };
  };

  test('is read and written from there, piece by piece, and lets go of the file at its end', async () => {
    const { bytes, reads, file } = await begin();
    const tail = new Tail(1000);
    // near, next to each other, far, and in front of the one before
    const places: readonly (readonly [number, number])[] = [
      [100, 50],
      [200, 70],
      [270, 30],
      [250_000, 20_000],
      [10, 40],
    ];
    for (const [place, length] of places) tail.refer(file, place, length);
    file.release();
    const own = Buffer.from('and what came since');
    tail.append(own);
    expect(() => tail.refer(file, 0, 1)).toThrow('memory');
    const expected = Buffer.concat(places.map(([place, length]) => bytes.subarray(place, place + length)));
    expect(tail).toMatchObject({ start: 1000, memoryStart: 1000 + expected.length, isInLog: true });
    for (const [from, to] of [
      [0, expected.length],
      [20, 60],
      [49, 51],
      [149, 160],
      [150, 20_190],
    ] as const) {
      const into = Buffer.alloc(to - from + 3);
      expect(await tail.copyFromLog(into, 3, 1000 + from, to - from)).toBe(true);
      expect(into.subarray(3).equals(expected.subarray(from, to)), `${from} to ${to}`).toBe(true);
    }
    const scratch = Buffer.alloc(15_000);
    const written: Buffer[] = [];
    for (let piece = await tail.oldestInLog(scratch); piece !== undefined; piece = await tail.oldestInLog(scratch)) {
      expect(piece.position).toBe(tail.start);
      written.push(Buffer.from(piece.bytes));
      tail.written();
    }
    expect(Buffer.concat(written).equals(expected)).toBe(true);
    expect([tail.isInLog, reads.open]).toEqual([false, 0]);
    expect(tail.oldest(scratch)?.bytes).toEqual(own);
    tail.written();
    expect(tail.bytes).toBe(0);
    tail.dropInLog();
  });

  test('says when a read of it came too late, and fails when the log was cut meanwhile', async () => {
    const { disk, file } = await begin();
    const tail = new Tail(0);
    tail.refer(file, 100, 50);
    const into = Buffer.alloc(50);
    disk.cut = 120;
    const failed = await tail.copyFromLog(into, 0, 0, 50).catch((error: unknown) => error);
    expect(isStorageError(failed, 'CORRUPT')).toBe(true);
    // dropped while it was read: whatever came of it, it is to be read elsewhere
    const late = tail.copyFromLog(into, 0, 0, 50);
    tail.dropInLog();
    expect(await late).toBe(false);
    expect(await tail.copyFromLog(into, 0, 0, 50)).toBe(false);
    expect(tail).toMatchObject({ start: 50, isInLog: false });
  });

  test('may be dropped while a piece of it is written', async () => {
    const { file, reads } = await begin();
    const tail = new Tail(0);
    tail.refer(file, 100, 50);
    file.release();
    await tail.oldestInLog(Buffer.alloc(20));
    tail.dropInLog();
    tail.written();
    expect(tail).toMatchObject({ start: 50, bytes: 0 });
    expect(reads.open).toBe(0);
  });
});

test('a table keeps the one that took the name of another', () => {
  const table = new SegmentTable();
  const facts = { id: 'a', nonce: 1, base: 0, epoch: 1 };
  const log = { end: 0, bytes: 0, index: { count: 0, lastPosition: 0, maxTimestamp: 0 } } as SegmentLog; // as above
  const [first, second] = [1, 2].map((number) => new OpenSegment({ ...facts, log, number }));
  if (first === undefined || second === undefined) throw new Error('two were made');
  table.add(first);
  table.add(second);
  table.touch(first);
  table.touch(first);
  table.remove(first);
  expect([table.get('a'), table.byNumber(1), table.byNumber(2)]).toEqual([second, undefined, second]);
  expect([table.size, table.dirtyCount, table.nextNumber, first.dirty]).toEqual([1, 0, 3, false]);
  table.remove(first);
  expect(table.get('a')).toBe(second);
});

test('one file is prepared at a time', async () => {
  const fs = { freeBytes: async () => 0 } as unknown as FileSystem; // as above
  const preparer = new FilePreparer({ fs, dir: 'wal', fileBytes: 8192, reserveBytes: 0 });
  const first = preparer.prepare('a');
  expect(() => preparer.prepare('b')).toThrow('already');
  expect(await first).toBe(false);
  expect(preparer.busy).toBe(false);
});

test('a directory of a later format is refused by that name', async () => {
  for (const [text, code] of [
    ['RMQL 2\n', 'FORMAT_TOO_NEW'],
    ['RMQL 1\nno uuid', 'CORRUPT'],
    ['', 'CORRUPT'],
  ] as const) {
    const handle = {
      size: async () => text.length,
      read: async (into: Uint8Array) => Buffer.from(text).copy(into),
      close: async () => {},
    } as unknown as FileHandle; // as above
    const fs = { open: async () => handle } as unknown as FileSystem; // as above
    await expect(readInstance(fs, 'dir')).rejects.toMatchObject({ code });
  }
});
