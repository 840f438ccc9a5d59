import { copyFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileSystem, nodeFileSystem } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { encodePrepared, entryBytes, groupFileBytes, readEntryHeader } from '../src/wal/frames.ts';
import { LogReads } from '../src/wal/log-reads.ts';
import { type ReplayFile, type ReplayVisitor, replay } from '../src/wal/replay.ts';
import { surveyWal, sweepUnfinished } from '../src/wal/survey.ts';
import { temporaryDirectory } from './harness.ts';
import { replayed, type TestEntry, TestLog } from './wal-log.ts';

const entry = (number: number, offset: number, payloadBytes = 40): TestEntry => ({ number, offset, payloadBytes });
const START = { position: 0, sequence: 0, offset: 0 };
const path = (dir: string, name: number): string => join(dir, `00000${name}.wal`);

/** Three files of two groups each: entries of offset 0 to 5. */
async function threeFiles(): Promise<{ dir: string; ends: number[] }> {
  const dir = await temporaryDirectory();
  const log = new TestLog(dir, { generation: 4, position: 0, fileBytes: 8192 });
  for (let file = 0; file < 3; file++) log.use(file, file + 1);
  const ends = [0, 1, 2, 3, 4, 5].map((offset) => {
    log.group([entry(1, offset)]);
    return log.position;
  });
  log.close();
  return { dir, ends };
}

function garble(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(file, bytes);
}

const ignoring: ReplayVisitor = { entry: () => {}, damaged: () => {}, lost: () => {} };

describe('the survey of a log', () => {
  test('knows each file by its turn, and which of them are needed', async () => {
    const { dir } = await threeFiles();
    const survey = await surveyWal(nodeFileSystem, dir, 2);
    const file = { generation: 4, zeroedBytes: 8192, present: true };
    expect(survey).toEqual({
      files: [
        { ...file, path: path(dir, 0), sequence: 1, state: 'free' },
        { ...file, path: path(dir, 1), sequence: 2, state: 'used' },
        { ...file, path: path(dir, 2), sequence: 3, state: 'used' },
      ],
      replay: [
        { path: path(dir, 1), sequence: 2, generation: 4 },
        { path: path(dir, 2), sequence: 3, generation: 4 },
      ],
      highestSequence: 3,
      highestGeneration: 4,
    });
  });

  test('puts files in the order of their turns, not of their names', async () => {
    const { dir } = await threeFiles();
    copyFileSync(path(dir, 0), path(dir, 9));
    rmSync(path(dir, 0));
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 0);
    expect(files.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  test('of a directory that is not there is empty, of one that can not be read a failure', async () => {
    const dir = join(await temporaryDirectory(), 'none');
    const empty = { files: [], replay: [], highestSequence: 0, highestGeneration: 0 };
    expect(await surveyWal(nodeFileSystem, dir, 0)).toEqual(empty);
    mkdirSync(dir);
    expect(await surveyWal(nodeFileSystem, dir, 0)).toEqual(empty);
    const readdir = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
    const broken: FileSystem = { ...nodeFileSystem, readdir };
    await expect(surveyWal(broken, dir, 0)).rejects.toMatchObject({ code: 'EIO' });
  });

  test('takes a file with a damaged beginning for what the newest group behind it says', async () => {
    const { dir } = await threeFiles();
    for (const name of [0, 1]) garble(path(dir, name), 20);
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 0);
    expect(files.slice(0, 2)).toEqual([
      { path: path(dir, 0), sequence: 1, generation: 4 },
      { path: path(dir, 1), sequence: 2, generation: 4 },
    ]);
    // behind a group of this turn may lie one of an earlier turn
    const mixed = Buffer.concat([
      Buffer.from('no group'.padEnd(4096, '-')),
      readFileSync(path(dir, 2)).subarray(4096),
      readFileSync(path(dir, 0)).subarray(4096),
    ]);
    writeFileSync(path(dir, 8), mixed);
    const { replay: after } = await surveyWal(nodeFileSystem, dir, 0);
    expect(after).toContainEqual({ path: path(dir, 8), sequence: 3, generation: 4 });
  });

  test('takes a file that is empty, prepared or nothing at all for one that is free', async () => {
    const dir = await temporaryDirectory();
    writeFileSync(path(dir, 0), '');
    writeFileSync(path(dir, 1), Buffer.concat([encodePrepared(), Buffer.alloc(8180)]));
    writeFileSync(path(dir, 2), Buffer.alloc(8192, 7));
    writeFileSync(join(dir, 'notes.txt'), 'x');
    const { files, replay: needed } = await surveyWal(nodeFileSystem, dir, 0);
    expect(files.map(({ state, sequence, zeroedBytes }) => [state, sequence, zeroedBytes])).toEqual([
      ['free', 0, 0],
      ['free', 0, 8192],
      ['free', 0, 8192],
    ]);
    expect(needed).toEqual([]);
  });

  test('leaves what a preparation left, and the sweep takes it', async () => {
    const { dir } = await threeFiles();
    writeFileSync(join(dir, '000007.wal.new'), 'x');
    expect((await surveyWal(nodeFileSystem, dir, 0)).files.length).toBe(3);
    await sweepUnfinished(nodeFileSystem, dir);
    expect((await nodeFileSystem.readdir(dir)).sort()).toEqual(['000000.wal', '000001.wal', '000002.wal']);
  });
});

describe('a replay', () => {
  test('begins at its place, and ends behind the last entry', async () => {
    const { dir, ends } = await threeFiles();
    const position = ends[2] ?? 0;
    const { entries, end, torn } = await replayed(dir, { position, sequence: 2, offset: 4096 });
    expect(entries.map(({ offset }) => offset)).toEqual([3, 4, 5]);
    expect([end, torn]).toEqual([ends[5], false]);
  });

  test('stops where it is told to', async () => {
    const { dir, ends } = await threeFiles();
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 0);
    const seen: number[] = [];
    const visitor = { ...ignoring, entry: ({ offset }: { offset: number }) => void seen.push(offset) };
    const at = await replay(new LogReads(nodeFileSystem), files, START, 8192, visitor, ends[3]);
    expect(seen).toEqual([0, 1, 2, 3]);
    expect(at).toEqual({ end: ends[3], torn: false });
  });

  test('tells of a file that is gone from the middle', async () => {
    const { dir, ends } = await threeFiles();
    rmSync(path(dir, 1));
    const { gap, lost, entries } = await replayed(dir);
    expect(gap).toEqual({ after: 1, before: 3 });
    expect(lost).toEqual([{ from: ends[1], to: ends[3] }]);
    expect(entries.map(({ offset }) => offset)).toEqual([0, 1, 4, 5]);
  });

  test('tells of a file that is gone from the beginning', async () => {
    const { dir, ends } = await threeFiles();
    rmSync(path(dir, 0));
    expect((await replayed(dir, { position: 0, sequence: 1, offset: 0 })).gap).toEqual({ after: 0, before: 2 });
    // not when nothing was in it that is asked for
    const position = ends[1] ?? 0;
    expect((await replayed(dir, { position, sequence: 1, offset: 8192 })).gap).toBeUndefined();
  });

  test('takes a file that was granted and never begun for an empty one', async () => {
    const { dir, ends } = await threeFiles();
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 0);
    const granted: ReplayFile = { path: path(dir, 7), sequence: 4, generation: 4 };
    const reads = new LogReads(nodeFileSystem);
    expect(await replay(reads, [...files, granted], START, 8192, ignoring)).toMatchObject({ end: ends[5] });
    expect(reads.open).toBe(0);
  });

  test('is not bounded by a next file that is of another turn by now', async () => {
    const { dir, ends } = await threeFiles();
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 0);
    const [first, second] = files;
    if (first === undefined || second === undefined) throw new Error('there are three');
    const other = { ...second, sequence: 9, generation: 5 };
    const seen: number[] = [];
    const visitor = { ...ignoring, entry: ({ offset }: { offset: number }) => void seen.push(offset) };
    const result = await replay(new LogReads(nodeFileSystem), [first, other], START, 8192, visitor);
    expect(seen).toEqual([0, 1]);
    expect(result.end).toBe(ends[1]);
  });

  test('of no file at all ends where it begins', async () => {
    const from = { position: 77, sequence: 3, offset: 0 };
    expect(await replay(new LogReads(nodeFileSystem), [], from, 8192, ignoring)).toEqual({ end: 77, torn: false });
  });

  test('is bounded by what the next file says of this turn only', async () => {
    const { dir } = await threeFiles();
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 0);
    const [stale, file] = files;
    if (stale === undefined || file === undefined) throw new Error('there are three');
    const seen: number[] = [];
    const visitor = { ...ignoring, entry: ({ offset }: { offset: number }) => void seen.push(offset) };
    const granted = { ...stale, sequence: 9, generation: 5 };
    await replay(new LogReads(nodeFileSystem), [file, granted], { ...START, sequence: 2 }, 8192, visitor);
    expect(seen).toEqual([2, 3]);
  });

  test('tells of what lies in front of the place where it was told to begin', async () => {
    const { dir, ends } = await threeFiles();
    const { lost, entries } = await replayed(dir, { position: 0, sequence: 1, offset: 4096 });
    expect(lost).toEqual([{ from: 0, to: ends[0] }]);
    expect(entries.map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5]);
  });

  test('misses no file where one was jumped over, or where a part of one is gone', async () => {
    const dir = await temporaryDirectory();
    const log = new TestLog(dir, { generation: 4, position: 0, fileBytes: 8192 });
    for (const [name, sequence] of [
      [0, 1],
      [1, 3],
    ] as const)
      log.use(name, sequence);
    for (const offset of [0, 1, 2]) log.group([entry(1, offset)]);
    log.close();
    const jumped = await replayed(dir);
    expect([jumped.gap, jumped.lost, jumped.entries.length]).toEqual([undefined, [], 3]);
    const { dir: other, ends } = await threeFiles();
    truncateSync(path(other, 0), 4096);
    const { gap, lost } = await replayed(other);
    expect([gap, lost]).toEqual([undefined, [{ from: ends[0], to: ends[1] }]]);
  });

  test('goes on where a file is gone and the beginning of the next one is damaged', async () => {
    const { dir } = await threeFiles();
    rmSync(path(dir, 0));
    garble(path(dir, 1), 20);
    const { entries, lost } = await replayed(dir, { position: 0, sequence: 1, offset: 0 });
    expect(entries.map(({ offset }) => offset)).toEqual([3, 4, 5]);
    expect(lost.length).toBe(1);
  });

  test('tells when the end of the log was torn, and when it was not', async () => {
    const { dir, ends } = await threeFiles();
    garble(path(dir, 2), 4096 + 64 + 60);
    expect(await replayed(dir)).toMatchObject({ torn: true, end: ends[4], damaged: [], lost: [] });
    const whole = await threeFiles();
    truncateSync(path(whole.dir, 2), 4096);
    expect(await replayed(whole.dir)).toMatchObject({ torn: false, end: ends[4] });
  });

  test('reads past a damaged header of a group whose entries are whole', async () => {
    const { dir, ends } = await threeFiles();
    for (let file = 0; file < 2; file++) garble(path(dir, file), 4096 + 30);
    const { entries, damaged, lost, end } = await replayed(dir);
    expect(entries.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5]);
    expect([damaged, lost, end]).toEqual([[], [], ends[5]]);
  });

  test('names what was damaged in front of what proves it, in another file too', async () => {
    const { dir, ends } = await threeFiles();
    garble(path(dir, 0), 4096 + 64 + 60);
    garble(path(dir, 1), 64 + 10);
    const { entries, damaged, lost, end } = await replayed(dir);
    expect(damaged).toEqual([entry(1, 1)]);
    expect(lost).toEqual([{ from: ends[1], to: ends[2] }]);
    expect(entries.map(({ offset }) => offset)).toEqual([0, 3, 4, 5]);
    expect(end).toBe(ends[5]);
  });

  test('tells what is missing up to where it is told to stop', async () => {
    const { dir, ends } = await threeFiles();
    truncateSync(path(dir, 2), 4096);
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 0);
    const lost: number[][] = [];
    const visitor = { ...ignoring, lost: (from: number, to: number) => void lost.push([from, to]) };
    const result = await replay(new LogReads(nodeFileSystem), files, START, 8192, visitor, ends[5]);
    expect([result, lost]).toEqual([{ end: ends[5], torn: false }, [[ends[4], ends[5]]]]);
  });

  test('takes what has a damaged header and ends in the middle for torn', async () => {
    const dir = await temporaryDirectory();
    const log = new TestLog(dir, { generation: 4, position: 0, fileBytes: 32 * 1024 });
    log.use(0, 1);
    log.group([entry(1, 0)]);
    const { offset } = log.group([entry(1, 1), entry(1, 2)]);
    log.close();
    garble(path(dir, 0), offset + 20);
    const size = log.position / 3;
    expect(await replayed(dir)).toMatchObject({ torn: true, end: 3 * size, lost: [] });
    garble(path(dir, 0), offset + 64 + size + 60);
    const { entries, torn, end, lost, damaged } = await replayed(dir);
    expect(entries.map((one) => one.offset)).toEqual([0, 1]);
    expect([torn, end, lost, damaged]).toEqual([true, 2 * size, [], []]);
  });

  test('misses no file behind one with a damaged header, nor in front of one', async () => {
    for (const [file, at] of [
      [0, 20],
      [1, 20],
    ] as const) {
      const dir = await temporaryDirectory();
      const log = new TestLog(dir, { generation: 4, position: 0, fileBytes: 8192 });
      log.use(0, 1);
      log.use(1, 3);
      for (const offset of [0, 1, 2, 3]) log.group([entry(1, offset)]);
      log.close();
      garble(path(dir, file), at);
      const { gap, lost, entries } = await replayed(dir);
      expect([gap, lost, entries.map(({ offset }) => offset)]).toEqual([undefined, [], [0, 1, 2, 3]]);
    }
  });

  test('reads past a damaged header to where the next group says that its entries end', async () => {
    const dir = await temporaryDirectory();
    const log = new TestLog(dir, { generation: 4, position: 0, fileBytes: 32 * 1024 });
    log.use(0, 1);
    log.group([entry(1, 0)]);
    const { offset } = log.group([entry(1, 1), entry(1, 2)]);
    log.group([entry(1, 3)]);
    log.close();
    garble(path(dir, 0), offset + 20);
    const { entries, lost, end } = await replayed(dir);
    expect([entries.map((one) => one.offset), lost, end]).toEqual([[0, 1, 2, 3], [], log.position]);
  });

  test('hands on each body, and where it lies, however large the file', async () => {
    const dir = await temporaryDirectory();
    const log = new TestLog(dir, { generation: 4, position: 0, fileBytes: 6 * 1024 * 1024 });
    log.use(0, 1);
    // entries lie across the end of what is read at once: some with their header, some with their body
    for (let at = 0; at < 12; at++) log.group([0, 1, 2, 3].map((one) => entry(one, 4 * at + one, 100_000 + 997 * at)));
    log.close();
    const bytes = readFileSync(path(dir, 0));
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 0);
    const seen: number[] = [];
    const visitor: ReplayVisitor = {
      ...ignoring,
      entry: ({ offset, bodyBytes }, body, _file, place) => {
        if (bodyBytes === body.length && body.equals(bytes.subarray(place, place + bodyBytes))) seen.push(offset);
      },
    };
    const { end } = await replay(new LogReads(nodeFileSystem), files, START, 1024 * 1024, visitor);
    expect(seen).toEqual(Array.from({ length: 48 }, (_, offset) => offset));
    expect(end).toBe(log.position);
  });

  test('sees an entry whose header lies across the end of what was read at once', async () => {
    const dir = await temporaryDirectory();
    const log = new TestLog(dir, { generation: 4, position: 0, fileBytes: 6 * 1024 * 1024 });
    log.use(0, 1);
    const windowBytes = 2 * 1024 * 1024;
    let at = 0;
    for (const offset of [0, 1]) {
      log.group([entry(1, offset, 700_000)]);
      at += groupFileBytes(entryBytes(700_000 + 61));
    }
    const large = windowBytes - 16 - (at + 64) - 48 - 61;
    const { offset } = log.group([entry(1, 2, large), entry(1, 3)]);
    expect(offset).toBe(at);
    log.close();
    expect(
      readEntryHeader(readFileSync(path(dir, 0)), windowBytes - 16, log.position - entryBytes(101), 4),
    ).toBeDefined();
    const { entries, end } = await replayed(dir);
    expect([entries.map((one) => one.offset), end]).toEqual([[0, 1, 2, 3], log.position]);
  });

  test('sees nothing of another turn or another generation behind its end, whatever position that names', async () => {
    for (const [generation, sequence] of [
      [4, 7],
      [3, 1],
    ] as const) {
      const dir = await temporaryDirectory();
      const old = new TestLog(dir, { generation, position: 1_000_000, fileBytes: 12 * 1024 });
      old.use(5, sequence);
      for (const offset of [7, 8, 9]) old.group([entry(1, offset)]);
      old.close();
      const log = new TestLog(dir, { generation: 4, position: 0, fileBytes: 12 * 1024 });
      log.use(0, 1);
      log.group([entry(1, 0)]);
      log.close();
      const left = readFileSync(path(dir, 5)).subarray(4096);
      writeFileSync(path(dir, 0), Buffer.concat([readFileSync(path(dir, 0)).subarray(0, 4096), left]));
      rmSync(path(dir, 5));
      const files: ReplayFile[] = [{ path: path(dir, 0), sequence: 1, generation: 4 }];
      const lost: number[][] = [];
      const visitor = { ...ignoring, lost: (from: number, to: number) => void lost.push([from, to]) };
      const result = await replay(new LogReads(nodeFileSystem), files, START, 8192, visitor);
      expect([result, lost]).toEqual([{ end: log.position, torn: false }, []]);
    }
  });
});
