import type { FileHandle } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { FileCache } from '../src/file-cache.ts';
import { OpenSegment } from '../src/segment/open-segment.ts';
import { SegmentPaths } from '../src/segment/segment-files.ts';
import { SegmentLog } from '../src/segment/segment-log.ts';
import { SparseIndex } from '../src/segment/sparse-index.ts';
import type { LogFile } from '../src/wal/log-reads.ts';
import { syncLog, WriteBack } from '../src/write-back.ts';
import { batch } from './batches.ts';
import { coded, MemoryDisk } from './memory-disk.ts';

/** As large as makes a chunk of its own: what is held in memory is just what was committed. */
const BATCH = 20_000;
const MIB = 1024 * 1024;
const paths = new SegmentPaths('/r');
const of = (id: string) => paths.of(id, 'log');
const settle = async () => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** A segment with five batches is written; with more than twenty in all the oldest are, and with forty writers wait. */
function world(options: { readonly segmentBytes?: number; readonly totalBytes?: number } = {}) {
  const disk = new MemoryDisk();
  const cache = new FileCache(disk.fs, 16);
  const full: string[] = [];
  const writeBack = new WriteBack({
    ...{ cache, segmentBytes: 5 * BATCH, totalBytes: 20 * BATCH, onFull: (detail: string) => full.push(detail) },
    ...options,
  });
  const segments: OpenSegment[] = [];
  const segment = (id: string): OpenSegment => {
    const log = new SegmentLog(id, paths, cache, { base: 0, end: 0, bytes: 0, index: new SparseIndex(4096) });
    const made = new OpenSegment({ id, number: segments.length + 1, nonce: 7, base: 0, epoch: 1, log });
    segments.push(made);
    return made;
  };
  const commit = (to: OpenSegment, count: number): void => {
    for (let i = 0; i < count; i++) {
      const offset = to.log.end;
      to.log.commit([batchAt(offset)], offset + 1);
      writeBack.committed(to);
    }
  };
  const written = (id: string): number => (disk.files.get(of(id))?.length ?? 0) / BATCH;
  const writes = (): string[] => disk.calls.filter((call) => call.startsWith('write'));
  /** Every byte of each segment is in its file or in memory, none in between, and what is held is what is counted. */
  const nothingIsLost = async (): Promise<void> => {
    let held = 0;
    for (const one of segments.filter(({ deleted }) => !deleted)) {
      const { bytes } = await one.log.read(0, 1 << 30);
      expect(Buffer.from(bytes).equals(bytesOf(one.log.end)), one.id).toBe(true);
      held += one.log.tail.held;
    }
    expect(writeBack.heldBytes).toBe(held);
  };
  return { disk, writeBack, full, segment, commit, written, writes, nothingIsLost };
}

const made: Buffer[] = [];
function batchAt(offset: number): Buffer {
  made[offset] ??= batch(offset, BATCH - 61);
  return made[offset];
}
const bytesOf = (end: number): Buffer => Buffer.concat(Array.from({ length: end }, (_, i) => batchAt(i)));

/** Holds up each step that begins like this; `free` lets all of them go on. */
function holding(disk: MemoryDisk, like: string) {
  const waiting: (() => void)[] = [];
  disk.hold = (call) => (call.startsWith(like) ? new Promise<void>((resolve) => waiting.push(resolve)) : undefined);
  const free = async (): Promise<void> => {
    disk.hold = () => undefined;
    for (const go of waiting.splice(0)) go();
    await settle();
  };
  return { waiting, free };
}

describe('what is committed', () => {
  test('stays in memory until it is worth a write, then is written as a whole', async () => {
    const w = world();
    const a = w.segment('a');
    w.commit(a, 4);
    await settle();
    expect(w.disk.calls).toEqual([]);
    expect([w.writeBack.heldBytes, a.unwritten]).toEqual([4 * BATCH, true]);
    w.commit(a, 1);
    await settle();
    expect(w.disk.files.get(of('a'))?.equals(bytesOf(5))).toBe(true);
    expect([w.writeBack.heldBytes, a.unwritten, a.log.tail.bytes]).toEqual([0, false, 0]);
    expect(w.writes()).toHaveLength(1);
    // what comes after goes behind it
    w.commit(a, 5);
    await settle();
    expect(w.disk.files.get(of('a'))?.equals(bytesOf(10))).toBe(true);
    await w.nothingIsLost();
  });

  test('is written, the oldest first, when there is too much in all, and only until there is not', async () => {
    const w = world();
    const segments = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => w.segment(id));
    for (const one of segments.slice(0, 5)) w.commit(one, 4);
    await settle();
    expect(w.disk.calls).toEqual([]);
    const last = segments[5] as OpenSegment;
    w.commit(last, 1);
    await settle();
    // two at once
    expect(w.writes()).toEqual([`write ${of('a')}`, `write ${of('b')}`]);
    expect(w.writeBack.heldBytes).toBe(13 * BATCH);
    await w.nothingIsLost();
  });

  test('while it is written is the next piece, when it is large enough', async () => {
    const w = world();
    const a = w.segment('a');
    const { waiting, free } = holding(w.disk, 'write');
    w.commit(a, 5);
    await settle();
    w.commit(a, 4);
    expect(waiting).toHaveLength(1);
    await free();
    expect(w.written('a')).toBe(5);
    expect(a.unwritten).toBe(true);
    const again = holding(w.disk, 'write');
    w.commit(a, 1);
    await settle();
    w.commit(a, 5);
    await again.free();
    expect(w.written('a')).toBe(15);
    expect(w.writes()).toHaveLength(3);
    await w.nothingIsLost();
  });

  test('is written of two segments at once, no more, and none of them twice', async () => {
    const w = world();
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => w.segment(id)) as [
      OpenSegment,
      OpenSegment,
      OpenSegment,
      OpenSegment,
    ];
    const { waiting, free } = holding(w.disk, 'write');
    w.commit(a, 5);
    await settle();
    // it does not take the place of another
    w.commit(a, 6);
    w.commit(b, 5);
    w.commit(c, 5);
    w.commit(d, 1);
    await settle();
    expect(waiting).toHaveLength(2);
    expect(w.writes()).toEqual([`write ${of('a')}`, `write ${of('b')}`]);
    await free();
    expect([w.written('a'), w.written('b'), w.written('c'), w.written('d')]).toEqual([11, 5, 5, 0]);
    await w.nothingIsLost();
  });

  test('of one that is being written is not written a second time because there is too much in all', async () => {
    const w = world();
    const a = w.segment('a');
    const b = w.segment('b');
    const { waiting, free } = holding(w.disk, 'write');
    w.commit(a, 30);
    await settle();
    w.commit(b, 1);
    await settle();
    expect(w.writes()).toEqual([`write ${of('a')}`, `write ${of('b')}`]);
    expect(waiting).toHaveLength(2);
    await free();
    await w.nothingIsLost();
  });

  test('is synced every four megabytes', async () => {
    const w = world({ segmentBytes: MIB, totalBytes: 100 * MIB });
    const a = w.segment('a');
    const perPiece = Math.floor(MIB / BATCH);
    for (let i = 0; i < 4; i++) {
      w.commit(a, perPiece + 1);
      await settle();
    }
    // of 53 batches each 52 fit in a piece: the last byte of four megabytes is not reached yet
    const before = 4 * (perPiece + 1) * BATCH;
    expect(before >= 4 * MIB).toBe(w.disk.calls.some((call) => call.startsWith('sync')));
    expect(a.unsynced).toBeLessThan(4 * MIB);
    w.commit(a, 4 * perPiece);
    await w.writeBack.drain(a);
    const syncs = w.disk.calls.filter((call) => call === `sync ${of('a')}`).length;
    expect(syncs).toBe(1);
    expect(a.unsynced).toBeGreaterThan(0);
    await w.nothingIsLost();
  });
});

describe('whoever waits for room', () => {
  test('does so from twice as much on, until there is less', async () => {
    const w = world({ segmentBytes: 1 << 30 });
    const a = w.segment('a');
    const b = w.segment('b');
    const { free } = holding(w.disk, 'write');
    w.commit(a, 20);
    w.commit(b, 19);
    expect([w.writeBack.full, w.writeBack.room()]).toEqual([false, undefined]);
    w.commit(b, 1);
    expect(w.writeBack.full).toBe(true);
    let woken = 0;
    const waits = [0, 1].map(() => w.writeBack.room()?.then(() => woken++));
    expect(waits.every((one) => one !== undefined)).toBe(true);
    await settle();
    expect(woken).toBe(0);
    await free();
    expect(woken).toBe(2);
    expect([w.writeBack.full, w.writeBack.room()]).toEqual([false, undefined]);
    await w.nothingIsLost();
  });

  test('goes on as soon as so many pieces are written that there is room, and no sooner', async () => {
    const w = world({ segmentBytes: 1 << 30, totalBytes: 2 * MIB });
    const a = w.segment('a');
    // full again, and again waited for
    for (let round = 0; round < 2; round++) {
      const gates: (() => void)[] = [];
      w.disk.hold = (call) =>
        call.startsWith('write') ? new Promise<void>((resolve) => gates.push(resolve)) : undefined;
      w.commit(a, Math.ceil((5 * MIB) / BATCH));
      const woken: number[] = [];
      void w.writeBack.room()?.then(() => woken.push(gates.length));
      await settle();
      for (let piece = 0; piece < 3; piece++) {
        expect(w.writeBack.full, `after ${piece}`).toBe(piece < 2);
        gates[piece]?.();
        await settle();
      }
      // by the second piece: the third was being written then
      expect(woken).toEqual([3]);
      w.disk.hold = () => undefined;
      for (const go of gates) go();
      await w.writeBack.drain(a);
      expect(a.failure).toBeUndefined();
      await w.nothingIsLost();
    }
  });

  test('goes on when a segment is deleted', async () => {
    const w = world({ segmentBytes: 1 << 30 });
    const a = w.segment('a');
    w.disk.fault = () => coded('EIO');
    w.commit(a, 40);
    let woken = false;
    void w.writeBack.room()?.then(() => {
      woken = true;
    });
    await settle();
    expect(woken).toBe(false);
    a.deleted = true;
    w.writeBack.drop(a);
    await settle();
    expect([woken, w.writeBack.heldBytes]).toEqual([true, 0]);
  });
});

describe('a write that fails', () => {
  test('leaves everything in memory, ends the writer, and is not tried again by itself', async () => {
    const w = world();
    const a = w.segment('a');
    w.disk.fault = (call) => (call.startsWith('write') ? coded('EIO') : undefined);
    w.commit(a, 30);
    await settle();
    expect(a.failure).toMatchObject({ code: 'IO_ERROR', cause: { code: 'EIO' } });
    expect(w.full).toEqual([]);
    expect(a.mustRewrite).toBe(false);
    const { length } = w.writes();
    await settle();
    expect(w.writes()).toHaveLength(length);
    expect([w.writeBack.heldBytes, a.unwritten]).toEqual([30 * BATCH, true]);
    await w.nothingIsLost();
    await expect(w.writeBack.drain(a)).rejects.toMatchObject({ code: 'EIO' });
    w.disk.fault = () => undefined;
    await w.writeBack.drain(a);
    expect(w.disk.files.get(of('a'))?.equals(bytesOf(30))).toBe(true);
    await w.nothingIsLost();
  });

  test.each(['ENOSPC', 'EDQUOT'])('for want of room ends no writer: %s', async (code) => {
    const w = world();
    const a = w.segment('a');
    const b = w.segment('b');
    w.disk.fault = (call) =>
      call.startsWith('write') ? Object.assign(coded(code), { message: 'it is full' }) : undefined;
    w.commit(b, 1);
    w.commit(a, 5);
    await settle();
    expect([w.full, a.failure]).toEqual([['it is full'], undefined]);
    w.disk.fault = () => undefined;
    await settle();
    expect(w.written('a')).toBe(0);
    // somebody has seen that there is room again
    w.writeBack.writeAll();
    await settle();
    expect([w.written('a'), w.written('b')]).toEqual([5, 1]);
    await w.nothingIsLost();
  });

  test('of some does not hold up the others: each has its turn', async () => {
    const w = world();
    const segments = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => w.segment(id));
    w.disk.fault = (call) => ([`write ${of('a')}`, `write ${of('b')}`].includes(call) ? coded('EIO') : undefined);
    for (const one of segments.slice(0, 5)) w.commit(one, 4);
    const last = segments[5] as OpenSegment;
    w.commit(last, 1);
    await settle();
    expect([w.written('a'), w.written('b'), w.writeBack.heldBytes]).toEqual([0, 0, 21 * BATCH]);
    // the next that asks has the others written
    w.commit(last, 1);
    await settle();
    expect([w.written('c'), w.written('d'), w.writeBack.heldBytes]).toEqual([4, 4, 14 * BATCH]);
    // and those that have failed are not forgotten
    w.disk.fault = () => undefined;
    w.writeBack.writeAll();
    await settle();
    expect([w.written('a'), w.written('b'), w.writeBack.heldBytes]).toEqual([4, 4, 0]);
    await w.nothingIsLost();
  });

  test('is followed by others when there is too much still, once one has succeeded', async () => {
    const w = world();
    const segments = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((id) => w.segment(id));
    w.disk.fault = (call) => (call.startsWith('write') ? coded('ENOSPC') : undefined);
    for (const one of segments) w.commit(one, 4);
    await settle();
    expect(w.writeBack.heldBytes).toBe(28 * BATCH);
    w.disk.fault = () => undefined;
    await w.writeBack.drain(segments[6] as OpenSegment);
    await settle();
    expect(w.writeBack.heldBytes).toBe(16 * BATCH);
    await w.nothingIsLost();
  });

  test('in the middle leaves what was not written yet', async () => {
    const w = world({ segmentBytes: 1 << 30, totalBytes: 1 << 30 });
    const a = w.segment('a');
    const count = Math.ceil((3 * MIB) / BATCH);
    w.commit(a, count);
    let writes = 0;
    w.disk.fault = (call) => (call.startsWith('write') && ++writes === 2 ? coded('EIO') : undefined);
    await expect(w.writeBack.drain(a)).rejects.toMatchObject({ code: 'EIO' });
    expect(a.log.tail.start).toBe(Math.floor(MIB / BATCH) * BATCH);
    expect(a.unsynced).toBe(a.log.tail.start);
    await w.nothingIsLost();
    await w.writeBack.drain(a);
    expect(w.disk.files.get(of('a'))?.equals(bytesOf(count))).toBe(true);
    await w.nothingIsLost();
  });

  test('to sync makes the file one that is to be written again', async () => {
    const w = world({ segmentBytes: 1 << 30, totalBytes: 1 << 30 });
    const a = w.segment('a');
    w.commit(a, Math.ceil((6 * MIB) / BATCH));
    w.disk.fault = (call) => (call.startsWith('sync') ? coded('EIO') : undefined);
    await expect(w.writeBack.drain(a)).rejects.toMatchObject({ code: 'EIO' });
    expect(a).toMatchObject({ mustRewrite: true, unsynced: 0, failure: { code: 'IO_ERROR' } });
  });
});

test('a sync that fails ends the writer, whoever asked for it', async () => {
  const w = world();
  const a = w.segment('a');
  a.unsynced = 5;
  const file = { datasync: () => Promise.reject(coded('EIO')) } as unknown as FileHandle; // all that is used of it
  await expect(syncLog(a, file)).rejects.toMatchObject({ code: 'EIO' });
  expect(a).toMatchObject({ mustRewrite: true, unsynced: 0, failure: { code: 'IO_ERROR', cause: { code: 'EIO' } } });
});

describe('draining', () => {
  test('ends when all is in the file that was committed when it began', async () => {
    const w = world();
    const a = w.segment('a');
    const { free } = holding(w.disk, 'write');
    w.commit(a, 5);
    await settle();
    w.commit(a, 3);
    let drained = false;
    const draining = w.writeBack.drain(a).then(() => {
      drained = true;
    });
    w.commit(a, 1);
    await settle();
    expect(drained).toBe(false);
    await free();
    await draining;
    expect(w.written('a')).toBeGreaterThanOrEqual(8);
    await w.nothingIsLost();
  });

  test('has nothing to do for what is there', async () => {
    const w = world();
    const a = w.segment('a');
    await w.writeBack.drain(a);
    w.commit(a, 1);
    await w.writeBack.drain(a);
    const { length } = w.disk.calls;
    await w.writeBack.drain(a);
    expect(w.disk.calls).toHaveLength(length);
  });

  test('ends when the segment is deleted, and nothing more is written', async () => {
    const w = world({ segmentBytes: 1 << 30, totalBytes: 1 << 30 });
    const a = w.segment('a');
    w.commit(a, Math.ceil((3 * MIB) / BATCH));
    const { waiting, free } = holding(w.disk, 'write');
    const draining = w.writeBack.drain(a);
    await settle();
    expect(waiting).toHaveLength(1);
    a.deleted = true;
    w.writeBack.drop(a);
    expect(w.writeBack.heldBytes).toBe(0);
    await free();
    await draining;
    expect(w.writes()).toHaveLength(1);
    expect([w.writeBack.heldBytes, a.unwritten]).toEqual([0, false]);
    await w.writeBack.drain(a);
    expect(w.writes()).toHaveLength(1);
  });

  test('takes first what a start has found in the log, and lets go of its file', async () => {
    const w = world({ segmentBytes: 1 << 30, totalBytes: 1 << 30 });
    const a = w.segment('a');
    const old = bytesOf(60);
    const file = { holders: 0, hold: () => file.holders++, release: () => file.holders--, read: async () => 0 };
    Object.assign(file, {
      read: async (into: Buffer, at: number, length: number, position: number) =>
        old.copy(into, at, position - 500, position - 500 + length),
    });
    a.log.adopt(old, file as unknown as LogFile, 500);
    expect(file.holders).toBe(1);
    w.commit(a, 3);
    await w.writeBack.drain(a);
    expect(w.disk.files.get(of('a'))?.equals(bytesOf(63))).toBe(true);
    expect([file.holders, a.log.tail.isInLog, w.writeBack.heldBytes]).toEqual([0, false, 0]);
    await w.nothingIsLost();
  });

  test('leaves what lies in the log where it is when it can not be written', async () => {
    const w = world();
    const a = w.segment('a');
    const old = bytesOf(3);
    const file = {
      hold: () => {},
      release: () => {},
      read: async (into: Buffer, at: number, length: number, position: number) =>
        old.copy(into, at, position, position + length),
    };
    a.log.adopt(old, file as unknown as LogFile, 0);
    w.disk.fault = (call) => (call.startsWith('write') ? coded('EIO') : undefined);
    await expect(w.writeBack.drain(a)).rejects.toMatchObject({ code: 'EIO' });
    expect([a.log.tail.start, a.log.tail.isInLog]).toEqual([0, true]);
    await w.nothingIsLost();
  });
});

describe('a segment that is deleted', () => {
  test('is not written when its turn comes, nor is a file made for it', async () => {
    const w = world();
    const [a, b, c] = ['a', 'b', 'c'].map((id) => w.segment(id)) as [OpenSegment, OpenSegment, OpenSegment];
    const { free } = holding(w.disk, 'write');
    for (const one of [a, b, c]) w.commit(one, 5);
    await settle();
    c.deleted = true;
    w.writeBack.drop(c);
    await free();
    expect([...w.disk.files.keys()]).toEqual([of('a'), of('b')]);
    w.writeBack.writeAll();
    await settle();
    expect([...w.disk.files.keys()]).toEqual([of('a'), of('b')]);
    expect(w.writeBack.heldBytes).toBe(0);
  });

  test('lets go of the log', async () => {
    const w = world();
    const a = w.segment('a');
    const file = { holders: 0, hold: () => file.holders++, release: () => file.holders-- };
    a.log.adopt(bytesOf(3), file as unknown as LogFile, 0);
    a.deleted = true;
    w.writeBack.drop(a);
    expect([file.holders, a.log.tail.isInLog]).toEqual([0, false]);
  });

  test('does not count any more, whatever comes', async () => {
    const w = world();
    const a = w.segment('a');
    w.commit(a, 3);
    a.deleted = true;
    w.writeBack.drop(a);
    w.commit(a, 1);
    expect(w.writeBack.heldBytes).toBe(0);
  });
});

describe('stopping', () => {
  test('waits for what has begun, and begins nothing more', async () => {
    const w = world();
    const [a, b, c] = ['a', 'b', 'c'].map((id) => w.segment(id)) as [OpenSegment, OpenSegment, OpenSegment];
    const { free } = holding(w.disk, 'write');
    for (const one of [a, b, c]) w.commit(one, 5);
    await settle();
    let stopped = false;
    const stopping = w.writeBack.stop().then(() => {
      stopped = true;
    });
    await settle();
    expect(stopped).toBe(false);
    await free();
    await stopping;
    await settle();
    expect(w.writes()).toEqual([`write ${of('a')}`, `write ${of('b')}`]);
    w.commit(c, 20);
    w.writeBack.writeAll();
    await settle();
    expect(w.written('c')).toBe(0);
    await w.nothingIsLost();
    // a checkpoint at the end writes what it asks for itself
    await w.writeBack.drain(c);
    expect(w.written('c')).toBe(25);
  });

  test('does not fail with a write that fails', async () => {
    const w = world();
    const a = w.segment('a');
    const { free } = holding(w.disk, 'write');
    w.disk.fault = (call) => (call.startsWith('write') ? coded('EIO') : undefined);
    w.commit(a, 5);
    await settle();
    const stopping = w.writeBack.stop();
    await free();
    await stopping;
    await w.nothingIsLost();
  });
});
