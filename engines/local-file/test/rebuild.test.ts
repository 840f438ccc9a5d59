import type { FileSystem } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import type { Checkpoint, SegmentRow } from '../src/checkpoint.ts';
import { FileCache } from '../src/file-cache.ts';
import { Rebuild } from '../src/rebuild.ts';
import { SegmentPaths } from '../src/segment/segment-files.ts';
import { NO_TIMESTAMP } from '../src/segment/sparse-index.ts';
import { SegmentTable } from '../src/segment-table.ts';
import { encodeBody } from '../src/wal/bodies.ts';
import { type EntryHeader, KIND } from '../src/wal/frames.ts';
import type { LogFile } from '../src/wal/log-reads.ts';
import { batch } from './batches.ts';

const ROW: SegmentRow = {
  ...{
    id: 'a',
    number: 3,
    nonce: 33,
    base: 10,
    epoch: 2,
    fencedEpoch: 4,
    state: Buffer.from('fold').toString('base64'),
  },
  ...{ end: 12, bytes: 300, maxTimestamp: 1011, indexCount: 0, lastIndexed: 0 },
};
const CHECKPOINT: Checkpoint = {
  ...{ generation: 1, nextSequence: 2, nextNumber: 4, maxGroupBytes: 100, suspect: false, segments: [ROW] },
  place: { position: 0, sequence: 1, offset: 0 },
};

/** A rebuild that is told what a log says, entry by entry. */
function rebuilding(checkpoint: Partial<Checkpoint> = {}) {
  const table = new SegmentTable();
  const held: number[] = [];
  const file = { hold: () => held.push(1), release: () => held.pop() } as unknown as LogFile; // nothing is read here
  const cache = new FileCache({} as FileSystem, 1); // nothing is opened here
  const options = { table, paths: new SegmentPaths('dir'), cache, indexInterval: 4096 };
  const rebuild = new Rebuild(options, { ...CHECKPOINT, ...checkpoint });
  const header = (kind: number, fields: Partial<EntryHeader>): EntryHeader => ({
    ...{
      kind,
      parts: 1,
      generation: 1,
      position: 0,
      number: 3,
      epoch: 1,
      offset: 0,
      count: 1,
      bodyBytes: 7,
      bodyCrc: 0,
    },
    ...fields,
  });
  return {
    table,
    rebuild,
    held,
    append: (number: number, offset: number, payload = 40) =>
      rebuild.entry(header(KIND.append, { number, offset }), batch(offset, payload), file, 500),
    create: (number: number, id: string, offset: number, nonce = number) =>
      rebuild.entry(
        header(KIND.create, { number, offset, epoch: 5 }),
        encodeBody(nonce, id, Buffer.from('new')),
        file,
        0,
      ),
    seal: (number: number, offset: number) =>
      rebuild.entry(header(KIND.seal, { number, offset }), encodeBody(0, 'x'), file, 0),
    fence: (id: string, nonce: number, epoch: number) =>
      rebuild.entry(header(KIND.fence, { epoch }), encodeBody(nonce, id), file, 0),
    remove: (id: string, nonce: number, number = 3) =>
      rebuild.entry(header(KIND.delete, { number, epoch: 0 }), encodeBody(nonce, id), file, 0),
    other: (kind: number) => rebuild.entry(header(kind, {}), Buffer.alloc(0), file, 0),
    damaged: (kind: number, fields: Partial<EntryHeader> = {}) => rebuild.damaged(header(kind, fields)),
  };
}

describe('the table after a start', () => {
  test('begins with what the checkpoint knows', () => {
    const { table, rebuild } = rebuilding({ suspect: true });
    rebuild.finish();
    expect(table.suspect).toBe(true);
    expect(table.nextNumber).toBe(4);
    expect(table.get('a')).toBe(table.byNumber(3));
    expect(table.get('a')).toMatchObject({
      ...{ id: 'a', number: 3, nonce: 33, base: 10, epoch: 2, fencedEpoch: 4, dispatched: 12, sealed: false },
      ...{ corrupt: undefined, dirty: false, state: Buffer.from('fold') },
      synced: { end: 12, bytes: 300, indexCount: 0, lastIndexed: 0, maxTimestamp: 1011 },
    });
  });

  test('knows of damage that was found before, and of states that have a file', () => {
    const { state: _, ...row } = ROW;
    const { table, append } = rebuilding({ segments: [{ ...row, corrupt: 'in these words' }] });
    append(3, 12);
    expect(table.get('a')).toMatchObject({ corrupt: 'in these words', state: undefined, log: { end: 12 } });
  });

  test('takes each append once, at its place, however often it comes', () => {
    const { table, rebuild, append, held } = rebuilding();
    append(3, 11);
    expect(rebuild.appends).toBe(0);
    append(3, 12);
    append(3, 12);
    append(3, 13);
    rebuild.finish();
    expect(table.get('a')).toMatchObject({ log: { end: 14, bytes: 300 + 2 * 101 }, dispatched: 14, dirty: true });
    expect(rebuild.appends).toBe(2);
    expect(held.length).toBe(1);
    expect([table.suspect, rebuild.damagedBytes, rebuild.leftovers]).toEqual([false, 0, []]);
  });

  test('calls a segment damaged when an append of it is missing in the middle', () => {
    const { table, append } = rebuilding();
    append(3, 13);
    expect(table.get('a')).toMatchObject({
      log: { end: 12 },
      corrupt: expect.stringContaining('12 and 13'),
      dirty: true,
    });
    append(3, 12);
    expect(table.get('a')?.log.end).toBe(12);
  });

  test('makes a segment of its creation, once', () => {
    const { table, rebuild, create, append } = rebuilding();
    create(9, 'b', 100);
    append(9, 100);
    create(9, 'b', 100);
    rebuild.finish();
    expect(table.get('b')).toMatchObject({
      ...{ number: 9, nonce: 9, base: 100, epoch: 5, fencedEpoch: 5, state: Buffer.from('new'), dirty: true },
      log: { end: 101, index: { maxTimestamp: 1100 } },
    });
    expect(table.nextNumber).toBe(10);
    create(10, 'c', 0);
    expect(table.get('c')?.dirty).toBe(true);
    expect(table.get('c')?.log.index.maxTimestamp).toBe(NO_TIMESTAMP);
  });

  test('takes a segment that was made again under a name for the new one', () => {
    const { table, create, append, held } = rebuilding();
    append(3, 12);
    create(9, 'a', 0);
    expect(table.get('a')?.number).toBe(9);
    expect(table.byNumber(3)).toBeUndefined();
    expect(held).toEqual([]);
  });

  test('does not know a number that nobody made, unless what follows says that it is over', () => {
    const unknown = rebuilding();
    unknown.append(77, 0);
    unknown.rebuild.finish();
    expect(unknown.table.suspect).toBe(true);
    const sealed = rebuilding();
    sealed.append(77, 0);
    sealed.seal(77, 1);
    sealed.rebuild.finish();
    expect(sealed.table.suspect).toBe(false);
    const deleted = rebuilding();
    deleted.append(77, 0);
    deleted.remove('z', 5, 77);
    deleted.rebuild.finish();
    expect(deleted.table.suspect).toBe(false);
  });

  test('seals a segment at its end, and nowhere else', () => {
    const { table, rebuild, append, seal } = rebuilding();
    rebuild.lost(5, 9);
    append(3, 12);
    seal(3, 13);
    rebuild.finish();
    expect(table.get('a')).toMatchObject({ sealed: true, corrupt: undefined, suspicion: undefined, dirty: true });
    for (const end of [12, 14]) {
      const other = rebuilding();
      other.append(3, 12);
      other.seal(3, end);
      expect(other.table.get('a')).toMatchObject({
        sealed: false,
        corrupt: expect.stringContaining(`sealed at ${end}`),
      });
    }
  });

  test('has the files of a segment that was sealed written', () => {
    const { table, seal } = rebuilding();
    seal(3, 12);
    expect(table.get('a')).toMatchObject({ sealed: true, dirty: true });
  });

  test('does not seal what is damaged', () => {
    const { table, append, seal } = rebuilding();
    append(3, 14);
    seal(3, 12);
    expect(table.get('a')?.sealed).toBe(false);
  });

  test('remembers the highest epoch of a segment that it knows, and leaves others to their footers', () => {
    const { table, rebuild, fence } = rebuilding();
    fence('a', 33, 3);
    expect(table.get('a')?.fencedEpoch).toBe(4);
    fence('a', 33, 9);
    fence('a', 34, 11);
    fence('z', 1, 12);
    expect(table.get('a')?.fencedEpoch).toBe(9);
    expect(rebuild.leftovers).toEqual([
      { id: 'a', nonce: 34, kind: 'fence', epoch: 11 },
      { id: 'z', nonce: 1, kind: 'fence', epoch: 12 },
    ]);
  });

  test('forgets what was deleted, and not another one of the same name', () => {
    const { table, rebuild, append, remove, held } = rebuilding();
    append(3, 12);
    remove('a', 32);
    expect(table.get('a')).toMatchObject({ deleted: false });
    const segment = table.get('a');
    remove('a', 33);
    expect(table.get('a')).toBeUndefined();
    expect(segment?.deleted).toBe(true);
    expect(held).toEqual([]);
    expect(rebuild.leftovers.map(({ nonce, kind }) => [nonce, kind])).toEqual([
      [32, 'delete'],
      [33, 'delete'],
    ]);
  });

  test('has nothing to do with marks, nor with kinds that it does not know', () => {
    const { table, rebuild, other } = rebuilding();
    other(KIND.mark);
    other(99);
    rebuild.finish();
    expect([table.size, table.dirtyCount, table.suspect, rebuild.leftovers]).toEqual([1, 0, false, []]);
  });
});

describe('damage in the log', () => {
  test('of a mark is none', () => {
    const { table, rebuild, damaged } = rebuilding();
    damaged(KIND.mark);
    expect([table.get('a')?.corrupt, table.suspect, rebuild.damagedBytes]).toEqual([undefined, false, 7]);
  });

  test('of an append is damage of its segment, unless its files have it', () => {
    const { table, damaged } = rebuilding();
    damaged(KIND.append, { offset: 10, count: 2 });
    expect(table.get('a')?.corrupt).toBeUndefined();
    damaged(KIND.append, { offset: 11, count: 2 });
    expect(table.get('a')?.corrupt).toContain('from offset 11');
    expect(table.suspect).toBe(false);
  });

  test('of an append of a segment that is gone is none', () => {
    const { table, damaged } = rebuilding();
    damaged(KIND.append, { number: 77 });
    expect(table.suspect).toBe(false);
  });

  test('of a seal, a fence or a deletion is damage of its segment, or of one that nobody can name', () => {
    for (const kind of [KIND.seal, KIND.fence, KIND.delete]) {
      const { table, damaged } = rebuilding();
      damaged(kind, { offset: 10 });
      expect(table.get('a')?.corrupt).toBeDefined();
      expect(table.suspect).toBe(false);
      damaged(kind, { number: 77 });
      expect(table.suspect).toBe(true);
    }
  });

  test('of a creation is damage of nobody knows whom', () => {
    for (const number of [3, 77]) {
      const { table, damaged } = rebuilding();
      damaged(KIND.create, { number });
      expect([table.suspect, table.get('a')?.corrupt]).toEqual([true, undefined]);
    }
  });

  test('of nobody knows what makes every segment that is open suspect, in the words of the first', () => {
    const { table, rebuild, create, seal } = rebuilding();
    create(9, 'sealed', 0);
    seal(9, 0);
    rebuild.lost(100, 150);
    rebuild.lost(200, 300);
    rebuild.finish();
    expect(rebuild.damagedBytes).toBe(150);
    expect(table.suspect).toBe(true);
    expect(table.get('a')?.corrupt).toContain('between 100 and 150');
    expect(table.get('sealed')?.corrupt).toBeUndefined();
  });
});
