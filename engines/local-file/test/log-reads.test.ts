import type { FileHandle, FileSystem } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { type LogFile, LogReads } from '../src/wal/log-reads.ts';
import { LogWindow } from '../src/wal/log-window.ts';
import { ReadyQueue } from '../src/wal/ready-queue.ts';
import { Ring } from '../src/wal/ring.ts';
import { coded } from './scripted-disk.ts';

const MIB = 1024 * 1024;
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Files of the log in memory; reads are held where the test says so. */
function scripted(files: Record<string, Buffer>) {
  const opened: string[] = [];
  const closed: string[] = [];
  const nobody = undefined as Promise<void> | undefined;
  const places: number[] = [];
  const disk = { opened, closed, places, fault: undefined as unknown, hold: nobody, holdClose: nobody };
  const handle = (path: string): Partial<FileHandle> => ({
    size: async () => files[path]?.length ?? 0,
    read: async (into, intoOffset, length, position) => {
      if (length < 0) throw new RangeError(`${length} bytes`);
      places.push(position);
      await disk.hold;
      return files[path]?.copy(into, intoOffset, position, position + length) ?? 0;
    },
    close: async () => {
      if (disk.holdClose !== undefined) await disk.holdClose;
      closed.push(path);
      if (disk.fault !== undefined) throw disk.fault;
    },
  });
  const fs: Partial<FileSystem> = {
    open: async (path) => {
      if (disk.fault !== undefined) throw disk.fault;
      if (files[path] === undefined) throw coded('ENOENT');
      opened.push(path);
      return handle(path) as FileHandle; // all that is asked for here
    },
  };
  return { disk, reads: new LogReads(fs as FileSystem) }; // as above
}

const some = async (reads: LogReads, path = 'a'): Promise<LogFile> => {
  const file = await reads.file(path);
  if (file === undefined) throw new Error(`no ${path}`);
  return file;
};

/** It is closing, and nothing is closed yet. */
async function waitsToClose(
  reads: LogReads,
  disk: { readonly closed: readonly string[] },
): Promise<{ readonly closing: Promise<void> }> {
  let done = false;
  const closing = reads.close().then(() => {
    done = true;
  });
  await later();
  expect([disk.closed, done]).toEqual([[], false]);
  return { closing };
}

describe('files of the log that are read', () => {
  test('are opened once, however many hold them, and closed when the last one lets go', async () => {
    const { reads, disk } = scripted({ a: Buffer.from('abc') });
    const [first, second] = await Promise.all([some(reads), some(reads)]);
    const third = await some(reads);
    expect([second, third]).toEqual([first, first]);
    expect(reads.open).toBe(1);
    // of two who came at once one has opened it in vain
    expect(disk.closed).toEqual(['a']);
    first.release();
    second.release();
    expect([reads.open, disk.closed.length]).toEqual([1, 1]);
    third.release();
    expect([reads.open, disk.closed.length]).toEqual([0, 2]);
    await some(reads);
    expect(disk.opened.length).toBe(3);
  });

  test('may be missing; any other failure is passed on', async () => {
    const { reads, disk } = scripted({});
    expect(await reads.file('a')).toBeUndefined();
    disk.fault = coded('EIO');
    await expect(reads.file('a')).rejects.toMatchObject({ code: 'EIO' });
    expect(reads.open).toBe(0);
  });

  test('are not closed under a read, and not read once they are closed', async () => {
    const { reads, disk } = scripted({ a: Buffer.from('abcdef') });
    const file = await some(reads);
    let go = (): void => {};
    disk.hold = new Promise((resolve) => {
      go = resolve;
    });
    const into = Buffer.alloc(4);
    const read = file.read(into, 1, 3, 2);
    const { closing } = await waitsToClose(reads, disk);
    go();
    expect(await read).toBe(3);
    expect(into.toString('latin1', 1)).toBe('cde');
    await closing;
    expect(disk.closed).toEqual(['a']);
    await expect(file.read(into, 0, 1, 0)).rejects.toMatchObject({ code: 'CLOSED' });
    file.release();
    await file.end();
    expect(disk.closed).toEqual(['a']);
  });

  test('are closed when closing is done, those that were let go of before, too', async () => {
    const { reads, disk } = scripted({ a: Buffer.from('abc') });
    let go = (): void => {};
    disk.holdClose = new Promise((resolve) => {
      go = resolve;
    });
    (await some(reads)).release();
    const { closing } = await waitsToClose(reads, disk);
    go();
    await closing;
    expect(disk.closed).toEqual(['a']);
  });

  test('are let go of even when closing them fails', async () => {
    const { reads, disk } = scripted({ a: Buffer.from('abc') });
    await some(reads);
    disk.fault = coded('EIO');
    await reads.close();
    expect(reads.open).toBe(0);
  });
});

describe('a window on a file of the log', () => {
  // each place is like no other
  const bytes = Buffer.from(Uint32Array.from({ length: 1.25 * MIB }, (_, at) => at).buffer);
  const shows = (window: LogWindow, from: number, to: number): boolean =>
    window.base <= from && window.bytes.subarray(from - window.base, to - window.base).equals(bytes.subarray(from, to));

  test('shows what was asked for, wherever it was before', async () => {
    const { reads } = scripted({ a: bytes });
    const window = new LogWindow();
    await window.use(await some(reads));
    expect(window.size).toBe(bytes.length);
    for (const [from, to] of [
      [0, 10],
      [2_000_000, 2_100_000],
      [2_050_000, 2_200_000],
      [100, 200],
      [1_000_000, 4_500_000],
      [bytes.length - 5, bytes.length],
    ] as const) {
      await window.load(from, to);
      expect(shows(window, from, to), `${from} to ${to}`).toBe(true);
      expect(window.load(from, to)).toBeUndefined();
    }
  });

  test('ends where the file does, and where it can not be read', async () => {
    const { reads } = scripted({ a: bytes.subarray(0, 100) });
    const window = new LogWindow();
    expect(window.load(0, 0)).toBeUndefined();
    const file = await some(reads);
    await window.use(file);
    await window.load(90, 200);
    expect(window.bytes.equals(bytes.subarray(90, 100))).toBe(true);
    expect(window.load(100, 200)).toBeUndefined();
    expect(window.load(300, 400)).toBeUndefined();
    const cut = scripted({ a: bytes.subarray(0, 100) });
    const short = await some(cut.reads);
    short.size = async () => 150; // somebody has cut it since
    await window.use(short);
    await window.load(80, 140);
    expect(window.bytes.equals(bytes.subarray(80, 100))).toBe(true);
    expect(window.load(90, 140)).toBeUndefined();
    // what is in front of the cut is there all the same
    await window.load(0, 140);
    expect(window.bytes.equals(bytes.subarray(0, 100))).toBe(true);
  });

  test('shows nothing of what lies behind the end, and asks for nothing there', async () => {
    const { reads } = scripted({ a: bytes });
    const window = new LogWindow();
    await window.use(await some(reads));
    await window.load(0, 10);
    for (const from of [bytes.length + 100, bytes.length]) {
      await window.load(from, from + 64);
      expect([window.base, window.bytes.length]).toEqual([from, 0]);
      await window.load(0, 10);
      expect(shows(window, 0, 10)).toBe(true);
    }
  });

  test('keeps what it has when it moves on, and knows a cut that it meets there', async () => {
    const cut = 2 * MIB + 50;
    const { reads, disk } = scripted({ a: bytes.subarray(0, cut) });
    const file = await some(reads);
    file.size = async () => bytes.length; // as above
    const window = new LogWindow();
    await window.use(file);
    await window.load(0, 10);
    await window.load(2 * MIB - 100, 2 * MIB + 1000);
    expect(disk.places).toEqual([0, 2 * MIB]);
    expect(window.base + window.bytes.length).toBe(cut);
    expect(shows(window, 2 * MIB - 100, cut)).toBe(true);
    await window.load(0, 10);
    await window.load(2 * MIB - 100, 2 * MIB + 1000);
    expect(shows(window, 2 * MIB - 100, cut)).toBe(true);
  });
});

describe('those who wait for room in the ring', () => {
  test('are woken in order, as many as there is room for', async () => {
    const ring = new Ring(1000);
    const queue = new ReadyQueue(ring);
    queue.wake();
    ring.skip(1000);
    const woken: number[] = [];
    const waits = [600, 300, 200, 10].map((bytes) => queue.wait(bytes).then(() => woken.push(bytes)));
    queue.wake();
    ring.consumed(500);
    queue.wake();
    await later();
    expect(woken).toEqual([]);
    ring.consumed(100);
    queue.wake();
    await later();
    expect(woken).toEqual([600, 300]);
    expect(queue.empty).toBe(false);
    ring.consumed(0);
    queue.wake();
    await Promise.all(waits);
    expect(woken).toEqual([600, 300, 200, 10]);
    expect(queue.empty).toBe(true);
  });
});
