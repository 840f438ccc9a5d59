import { describe, expect, test } from 'vitest';
import { FileCache } from '../src/file-cache.ts';
import { openStored, sealedLog } from '../src/sealed-segments.ts';
import {
  baseOffsetAt,
  batchBytesAt,
  int64At,
  maxTimestampAt,
  nextOffsetAt,
  splitBatches,
} from '../src/segment/batch-fields.ts';
import { type Descriptor, encodeDescriptor } from '../src/segment/descriptor.ts';
import { OpenSegment } from '../src/segment/open-segment.ts';
import { parseSegmentFile, SegmentPaths } from '../src/segment/segment-files.ts';
import { SegmentLog } from '../src/segment/segment-log.ts';
import { SparseIndex } from '../src/segment/sparse-index.ts';
import { bodyOf, checkLog, exists, footerOf, readFooter, stateOf } from '../src/segment/stored.ts';
import { SegmentTable } from '../src/segment-table.ts';
import { batch } from './batches.ts';
import { coded, MemoryDisk } from './memory-disk.ts';

const paths = new SegmentPaths('/r');
const FACTS: Descriptor = {
  ...{ number: 3, nonce: 77, sealed: true, ingested: true, base: 10, end: 30, epoch: 4, fencedEpoch: 6 },
  ...{ bytes: 500, maxTimestamp: 1234, indexCount: 5, lastIndexed: 400, digest: 99 },
};
const FOOTER = encodeDescriptor(FACTS, 'a uid', Buffer.from('a fold'));

function world(files: Readonly<Record<string, Buffer>> = {}) {
  const disk = new MemoryDisk();
  for (const [name, bytes] of Object.entries(files)) disk.files.set(`/r/segments/${name}`, bytes);
  return disk;
}

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at] = 1 ^ (copy[at] ?? 0);
  return copy;
};

/** A file system on which every file fails in this way. */
function failing(code: string) {
  return { ...new MemoryDisk().fs, open: () => Promise.reject(coded(code)) };
}

describe('what the files of a segment hold', () => {
  test('the footer, whole or not at all', async () => {
    expect(await readFooter(world({ 'a.footer': FOOTER }).fs, paths, 'a')).toEqual(FACTS);
    expect(await readFooter(world().fs, paths, 'a')).toBeUndefined();
    for (const bytes of [flipped(FOOTER, 40), FOOTER.subarray(0, 127), Buffer.alloc(0)])
      await expect(readFooter(world({ 'a.footer': bytes }).fs, paths, 'a')).rejects.toMatchObject({
        code: 'CORRUPT',
        where: 'segment a, /r/segments/a.footer',
        hint: expect.stringContaining('--accept-loss'),
      });
    await expect(readFooter(failing('EIO'), paths, 'a')).rejects.toMatchObject({ code: 'EIO' });
  });

  test('uid and state: in the footer, else in the head, and never in what is damaged', async () => {
    const head = encodeDescriptor({ ...FACTS, sealed: false }, '', Buffer.from('of the head'));
    const bodies = { 'a.footer': FOOTER, 'b.head': head, 'c.footer': FOOTER, 'c.head': head };
    const { fs } = world(bodies);
    expect(await bodyOf(fs, paths, 'a')).toEqual({ uid: 'a uid', state: Buffer.from('a fold') });
    expect((await stateOf(fs, paths, 'b')).toString()).toBe('of the head');
    expect((await stateOf(fs, paths, 'c')).toString()).toBe('a fold');
    await expect(bodyOf(fs, paths, 'd')).rejects.toMatchObject({ code: 'SEGMENT_LOST', where: 'segment d' });
    // in its fields, and in what lies behind them
    for (const at of [40, FOOTER.length - 1])
      for (const kind of ['footer', 'head'])
        await expect(stateOf(world({ [`a.${kind}`]: flipped(FOOTER, at) }).fs, paths, 'a')).rejects.toMatchObject({
          code: 'CORRUPT',
          where: `segment a, /r/segments/a.${kind}`,
        });
    await expect(stateOf(failing('EACCES'), paths, 'a')).rejects.toMatchObject({ code: 'EACCES' });
  });

  test('the log, as long as the footer says', async () => {
    const disk = world({ 'a.log': Buffer.alloc(500) });
    await checkLog(disk.fs, paths, 'a', 500);
    await checkLog(disk.fs, paths, 'a', 499);
    await expect(checkLog(disk.fs, paths, 'a', 501)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('has 500 bytes, it had 501'),
    });
    await expect(checkLog(disk.fs, paths, 'b', 1)).rejects.toMatchObject({
      code: 'SEGMENT_LOST',
      where: 'segment b, /r/segments/b.log',
    });
    // nothing in it: it may have none
    await checkLog(disk.fs, paths, 'b', 0);
    expect(disk.openHandles).toBe(0);
    await expect(checkLog(failing('EIO'), paths, 'a', 1)).rejects.toMatchObject({ code: 'EIO' });
  });

  test('a file is there, or is not, or nobody can say', async () => {
    const disk = world({ 'a.log': Buffer.alloc(1) });
    expect(await exists(disk.fs, '/r/segments/a.log')).toBe(true);
    expect(await exists(disk.fs, '/r/segments/b.log')).toBe(false);
    expect(disk.openHandles).toBe(0);
    await expect(exists(failing('EIO'), 'x')).rejects.toMatchObject({ code: 'EIO' });
  });
});

describe('a segment that is sealed', () => {
  test('has in its footer what it has in memory, and is made of that again', async () => {
    const disk = world();
    const cache = new FileCache(disk.fs, 4);
    const log = new SegmentLog('a', paths, cache, { base: 10, end: 10, bytes: 0, index: new SparseIndex(300) });
    for (let offset = 10; offset < 20; offset++) log.commit([batch(offset)], offset + 1);
    log.end = 25;
    const segment = new OpenSegment({ id: 'a', number: 3, nonce: 77, base: 10, epoch: 4, log });
    Object.assign(segment, { sealed: true, ingested: true, fencedEpoch: 6, digest: 99, uid: 'a uid' });
    disk.files.set(paths.of('a', 'footer'), footerOf(segment, Buffer.from('a fold')));
    const footer = await readFooter(disk.fs, paths, 'a');
    if (footer === undefined) throw new Error('it has one');
    const { bytes, index } = log;
    expect(index.count).toBeGreaterThan(2);
    expect(footer).toEqual({
      ...FACTS,
      ...{ end: 25, bytes, maxTimestamp: 1019, indexCount: index.count, lastIndexed: index.lastPosition },
    });
    const again = await openStored(disk.fs, paths, cache, 'a', footer, 300);
    expect(again).toMatchObject({
      ...{ id: 'a', number: 3, nonce: 77, base: 10, epoch: 4, fencedEpoch: 6, sealed: true, hasFooter: true },
      ...{ ingested: true, digest: 99, uid: 'a uid', state: Buffer.from('a fold'), dispatched: 25 },
    });
    expect(again.log).toMatchObject({ base: 10, end: 25, bytes });
    expect(again.log.index).toMatchObject({
      ...{ interval: 300, count: index.count, unloaded: index.count },
      ...{ lastPosition: index.lastPosition, maxTimestamp: 1019 },
    });
    // written again with another epoch it says the same but for that
    again.fencedEpoch = 8;
    disk.files.set(paths.of('a', 'footer'), footerOf(again, again.state ?? Buffer.alloc(0)));
    expect(await readFooter(disk.fs, paths, 'a')).toEqual({ ...footer, fencedEpoch: 8 });
    expect((await bodyOf(disk.fs, paths, 'a')).uid).toBe('a uid');
  });

  test('is read from its files when somebody asks, and not before', async () => {
    const disk = world();
    const bytes = Buffer.concat([batch(10), batch(11)]);
    const facts = { ...FACTS, end: 12, bytes: bytes.length, indexCount: 0, lastIndexed: 0 };
    const log = sealedLog(paths, new FileCache(disk.fs, 4), 'a', facts, 300);
    disk.files.set(paths.of('a', 'log'), bytes);
    expect(Buffer.from((await log.read(11, 1)).bytes)).toEqual(batch(11));
  });
});

test('names of a segment’s files say which they are, and other names are none', () => {
  for (const id of ['a', 'a.log', 'x.footer.tmp', 'with.dots'])
    for (const kind of ['log', 'index', 'head', 'footer'] as const) {
      const [own, temporary] = [paths.of(id, kind), paths.temporary(id, kind)];
      expect(own).toBe(`/r/segments/${id}.${kind}`);
      expect(parseSegmentFile(own.slice(12))).toEqual({ id, kind, temporary: false });
      expect(parseSegmentFile(temporary.slice(12))).toEqual({ id, kind, temporary: true });
    }
  for (const name of [
    '.log',
    'log',
    'a',
    'a.',
    'a.logs',
    'a.tmp',
    'a.log.old',
    'a.log.tmp.tmp',
    '',
    '.tmp',
    'alog.tmp',
  ])
    expect(parseSegmentFile(name), name).toBeUndefined();
});

test('fields of a batch, at the beginning and behind another, small and large', () => {
  const first = batch(5, 33);
  for (const [offset, count, timestamp] of [
    [0, 1, 0],
    [2 ** 31 - 1, 3, 2 ** 31],
    [2 ** 32, 1000, 2 ** 40 + 12_345],
    [2 ** 52 + 2 ** 31 + 77, 70_000, -1],
  ] as const) {
    const one = batch(offset, 300, count, timestamp);
    for (const [bytes, at] of [
      [one, 0],
      [Buffer.concat([first, one]), first.length],
    ] as const) {
      expect(baseOffsetAt(bytes, at)).toBe(offset);
      expect(nextOffsetAt(bytes, at)).toBe(offset + count);
      expect(maxTimestampAt(bytes, at)).toBe(timestamp);
      expect(batchBytesAt(bytes, at)).toBe(one.length);
    }
    expect(splitBatches(Buffer.concat([first, one]))).toEqual({ batches: [first, one], next: offset + count });
  }
  expect(splitBatches(Buffer.alloc(0))).toEqual({ batches: [], next: 0 });
  expect(batchBytesAt(batch(0, 70_000), 0)).toBe(70_061);
  const large = Buffer.alloc(12);
  large.writeInt32BE(0x12345678, 8);
  expect(batchBytesAt(large, 0)).toBe(0x12345678 + 12);
  expect(int64At(Buffer.from('0001020380f1f2f3', 'hex'), 0)).toBe(0x0001020380f1f2f3);
});

describe('the table of segments', () => {
  const log = { end: 0, bytes: 0, index: { count: 0, lastPosition: 0, maxTimestamp: 0 } } as SegmentLog; // all of it that is asked for
  const make = (id: string, number: number) => new OpenSegment({ id, number, nonce: number, base: 0, epoch: 1, log });

  test('finds them by name and by number, and never uses a number twice', () => {
    const table = new SegmentTable();
    const [a, b, old] = [make('a', 7), make('b', 3), make('c', 0)];
    for (const one of [a, b, old]) table.add(one);
    expect([table.size, table.nextNumber, [...table.all()]]).toEqual([3, 8, [a, b, old]]);
    expect(['a', 'b', 'c', 'd'].map((id) => table.get(id))).toEqual([a, b, old, undefined]);
    // the log speaks of none by number 0
    expect([7, 3, 0, 1].map((number) => table.byNumber(number))).toEqual([a, b, undefined, undefined]);
    table.remove(a);
    expect([table.size, table.get('a'), table.byNumber(7), table.nextNumber]).toEqual([2, undefined, undefined, 8]);
    expect(table.suspect).toBe(false);
  });

  test('one that has the name or the number of another takes neither from it when it goes', () => {
    const table = new SegmentTable();
    const [first, second, third] = [make('a', 1), make('a', 2), make('b', 2)];
    for (const one of [first, second]) table.add(one);
    table.remove(first);
    expect([table.get('a'), table.byNumber(1), table.byNumber(2)]).toEqual([second, undefined, second]);
    table.add(third);
    table.remove(second);
    expect([table.get('a'), table.get('b'), table.byNumber(2)]).toEqual([undefined, third, third]);
  });

  test('knows which are behind the log, each once, until they are taken or gone', () => {
    const table = new SegmentTable();
    const [a, b, c] = [make('a', 1), make('b', 2), make('c', 3)];
    for (const one of [a, b, c]) {
      table.add(one);
      table.touch(one);
      table.touch(one);
    }
    expect([table.dirtyCount, a.dirty]).toEqual([3, true]);
    table.remove(b);
    expect([table.dirtyCount, b.dirty]).toEqual([2, false]);
    expect(table.takeDirty()).toEqual([a, c]);
    expect([table.dirtyCount, a.dirty, c.dirty, table.takeDirty()]).toEqual([0, false, false, []]);
    table.touch(a);
    expect(table.takeDirty()).toEqual([a]);
  });
});
