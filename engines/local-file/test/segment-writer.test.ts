import { type SegmentState, StorageError } from '@robustmq/core';
import { expect, test } from 'vitest';
import type { DiskSpace } from '../src/disk-space.ts';
import type { FileCache } from '../src/file-cache.ts';
import { OpenSegment } from '../src/segment/open-segment.ts';
import { SegmentPaths } from '../src/segment/segment-files.ts';
import { SegmentLog } from '../src/segment/segment-log.ts';
import { fenced, LocalFileWriter } from '../src/segment/segment-writer.ts';
import { SparseIndex } from '../src/segment/sparse-index.ts';
import { SegmentTable } from '../src/segment-table.ts';
import type { Pending, Wal } from '../src/wal/wal.ts';
import type { WriteBack } from '../src/write-back.ts';
import { batch } from './batches.ts';

const broken = new StorageError('IO_ERROR', 'the disk is broken');
const none = (code: string) => ({ code, outcome: 'none' });

function begin() {
  const index = new SparseIndex(4096);
  // no file is read here
  const log = new SegmentLog('a', new SegmentPaths('dir'), {} as FileCache, { base: 5, end: 5, bytes: 0, index });
  const segment = new OpenSegment({ id: 'a', number: 7, nonce: 9, base: 5, epoch: 2, log });
  const table = new SegmentTable();
  const asked = {
    appends: [] as { readonly fields: readonly number[]; readonly pending: Pending }[],
    seals: [] as { readonly fields: unknown; readonly done: () => void }[],
    sealFails: undefined as unknown,
    committed: 0,
    flushes: 0,
  };
  const may = { hasRoom: true, full: false, admit: true, dead: undefined as StorageError | undefined };
  const wait = { room: undefined as Promise<void> | undefined, writeBack: undefined as Promise<void> | undefined };
  // all that a writer asks of them
  const wal = {
    get dead() {
      return may.dead;
    },
    hasRoom: () => may.hasRoom,
    room: () => wait.room,
    append: (number: number, epoch: number, base: number, count: number, _: unknown, bytes: number, pending: Pending) =>
      void asked.appends.push({ fields: [number, epoch, base, count, bytes], pending }),
    write: (_kind: string, fields: unknown, _body: unknown, onDurable: () => void): Promise<void> => {
      if (asked.sealFails !== undefined) return Promise.reject(asked.sealFails);
      return new Promise((resolve) => {
        const done = (): void => {
          onDurable();
          resolve();
        };
        asked.seals.push({ fields, done });
      });
    },
    settledSoFar: async () => void asked.flushes++,
  } as unknown as Wal;
  const writeBack = {
    get full() {
      return may.full;
    },
    room: () => wait.writeBack,
    committed: () => void asked.committed++,
  } as unknown as WriteBack;
  const space = { admit: () => may.admit } as unknown as DiskSpace;
  const state = (): Promise<SegmentState> => Promise.resolve(Buffer.from('state'));
  const writer = new LocalFileWriter(segment, { wal, writeBack, space, table, state });
  const append = (base: number): Promise<unknown> =>
    writer.append([batch(base)], { base }).catch((error: unknown) => error);
  return { segment, table, asked, may, wait, writer, append };
}

test('an append is committed when it is on the disk, and not before', async () => {
  const { segment, table, asked, writer } = begin();
  const appended = writer.append([batch(5, 10), batch(6, 20, 3)], { base: 5 });
  expect(writer.offsets()).toEqual({ base: 5, committed: 5, end: 9, sealed: false });
  expect(asked.appends[0]?.fields).toEqual([7, 2, 5, 4, 2 * 61 + 30]);
  expect([table.dirtyCount, asked.committed]).toEqual([0, 0]);
  asked.appends[0]?.pending.durable();
  expect(await appended).toEqual({ next: 9 });
  expect(writer.offsets()).toEqual({ base: 5, committed: 9, end: 9, sealed: false });
  expect([table.dirtyCount, asked.committed, segment.log.bytes]).toEqual([1, 1, 152]);
});

test('an append that fails fails its writer, and all that comes after is refused for that', async () => {
  const { asked, append, writer } = begin();
  const first = append(5);
  asked.appends[0]?.pending.failed(broken);
  expect(await first).toBe(broken);
  expect(await append(6)).toMatchObject({ ...none('WRITER_FAILED'), cause: broken, hint: expect.any(String) });
  await expect(writer.ready(1)).rejects.toMatchObject(none('WRITER_FAILED'));
  await expect(writer.seal()).rejects.toMatchObject(none('WRITER_FAILED'));
  expect(asked.appends.length).toBe(1);
});

test('an append that gets to the disk after its writer has failed is applied, and acknowledged only if that was a takeover', async () => {
  for (const [failure, settled] of [
    [broken, broken],
    [undefined, { next: 6 }],
  ] as const) {
    const { segment, asked, append } = begin();
    const appended = append(5);
    segment.fail(failure ?? fenced(segment, 'taken over'));
    asked.appends[0]?.pending.durable();
    expect(await appended).toEqual(settled);
    expect([segment.log.end, segment.dispatched]).toEqual([6, 6]);
  }
});

test('an append that gets to the disk behind the deletion of its segment is not applied', async () => {
  for (const failure of [undefined, broken]) {
    const { segment, asked, append } = begin();
    const appended = append(5);
    segment.deleted = true;
    if (failure !== undefined) segment.fail(failure);
    asked.appends[0]?.pending.durable();
    expect(await appended).toMatchObject({ code: failure?.code ?? 'FENCED' });
    expect([segment.log.end, asked.committed]).toEqual([5, 0]);
  }
});

test('where the log can not be written any more nothing is taken', async () => {
  const { asked, may, append, writer } = begin();
  may.dead = broken;
  expect(await append(5)).toMatchObject({ ...none('WRITER_FAILED'), cause: broken });
  await expect(writer.ready(1)).rejects.toMatchObject(none('WRITER_FAILED'));
  await expect(writer.seal()).rejects.toMatchObject(none('WRITER_FAILED'));
  expect([asked.appends, asked.seals]).toEqual([[], []]);
});

test('without room nothing is taken, and what was refused leaves no trace', async () => {
  const { asked, may, append, writer } = begin();
  may.hasRoom = false;
  expect(await append(5)).toMatchObject(none('BACKPRESSURE'));
  may.hasRoom = true;
  may.full = true;
  expect(await append(5)).toMatchObject(none('BACKPRESSURE'));
  may.full = false;
  may.admit = false;
  expect(await append(5)).toMatchObject({ ...none('DISK_FULL'), hint: expect.any(String) });
  may.admit = true;
  expect([asked.appends, writer.offsets().end]).toEqual([[], 5]);
  void append(5);
  expect(asked.appends.length).toBe(1);
});

test('credit is a promise for one append, kept unless the ring itself is full', async () => {
  const { asked, may, wait, append, writer } = begin();
  expect(writer.ready(1)).toBeUndefined();
  let free = (): void => {};
  wait.writeBack = new Promise((resolve) => {
    free = resolve;
  });
  const told: string[] = [];
  const ready = writer.ready(1)?.then(() => told.push('ready'));
  let room = (): void => {};
  wait.room = new Promise((resolve) => {
    room = resolve;
  });
  free();
  await new Promise((resolve) => setImmediate(resolve));
  // there is room behind the log, and none in it
  expect(told).toEqual([]);
  room();
  await ready;
  may.full = true;
  expect(writer.ready(1)).toBeUndefined();
  may.hasRoom = false;
  expect(writer.ready(1)).toBeInstanceOf(Promise);
  expect(await append(5)).toMatchObject(none('BACKPRESSURE'));
  may.hasRoom = true;
  void append(5);
  expect(asked.appends.length).toBe(1);
  expect(await append(6)).toMatchObject(none('BACKPRESSURE'));
});

test('credit that comes when the writer has failed is none', async () => {
  const { segment, wait, writer } = begin();
  wait.room = Promise.resolve();
  const ready = writer.ready(1);
  segment.fail(broken);
  await expect(ready).rejects.toMatchObject(none('WRITER_FAILED'));
});

test('a flush waits when something is on its way', async () => {
  const { asked, append, writer } = begin();
  await writer.flush();
  expect(asked.flushes).toBe(0);
  void append(5);
  await writer.flush();
  expect(asked.flushes).toBe(1);
  asked.appends[0]?.pending.durable();
  await writer.flush();
  expect(asked.flushes).toBe(1);
});

test('a segment is sealed behind what is on its way, once that is on the disk', async () => {
  const { segment, table, asked, append, writer } = begin();
  void append(5);
  const sealed = writer.seal();
  expect(asked.seals[0]?.fields).toEqual({ number: 7, epoch: 2, offset: 6 });
  expect(segment.sealed).toBe(false);
  expect(await append(6)).toMatchObject(none('SEGMENT_SEALED'));
  asked.appends[0]?.pending.durable();
  table.takeDirty();
  asked.seals[0]?.done();
  expect(await sealed).toEqual({ end: 6 });
  expect([segment.sealed, table.dirtyCount]).toEqual([true, 1]);
});

test('a seal that fails fails the writer: nobody knows whether it is in the log', async () => {
  const { segment, asked, append, writer } = begin();
  asked.sealFails = broken;
  await expect(writer.seal()).rejects.toBe(broken);
  expect([segment.failure, segment.sealed]).toEqual([broken, false]);
  expect(await append(5)).toMatchObject({ ...none('WRITER_FAILED'), cause: broken });
});
