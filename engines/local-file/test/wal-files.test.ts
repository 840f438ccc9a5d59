import { describe, expect, test } from 'vitest';
import type { FilePreparer } from '../src/wal/file-preparer.ts';
import { isWalFileName, type WalFile, WalFiles, walFileName } from '../src/wal/wal-files.ts';
import { coded, MemoryDisk } from './memory-disk.ts';

const path = (name: number): string => `/w/${walFileName(name)}`;

function found(name: number, sequence: number, state: WalFile['state'], present = true): WalFile {
  return { path: path(name), sequence, generation: sequence === 0 ? 0 : 1, zeroedBytes: 8192, present, state };
}

function world(limit: number, there: readonly WalFile[] = [], nextSequence = 5) {
  const disk = new MemoryDisk();
  for (const file of there) disk.files.set(file.path, Buffer.alloc(8192));
  const files = new WalFiles(disk.fs, '/w', limit, there, { generation: 2, nextSequence });
  const statesOf = (): string[] =>
    files.from(0).map(({ path: at, sequence, state }) => `${Number.parseInt(at.slice(3), 10)} ${sequence} ${state}`);
  return { disk, files, statesOf };
}

/** One that makes files, or fails to, when it is told. */
function preparer(done: boolean | (() => boolean)) {
  const asked: string[] = [];
  const prepare = async (at: string): Promise<boolean> => {
    asked.push(at);
    return typeof done === 'boolean' ? done : done();
  };
  return { asked, it: { fileBytes: 16_384, prepare } as unknown as FilePreparer };
}

describe('the files that a start has found', () => {
  test('are kept as long as they are needed, and new ones get names that none of them has', () => {
    const { files, statesOf } = world(4, [found(3, 0, 'free'), found(7, 4, 'used'), found(12, 3, 'used')]);
    // in the order of what they hold
    expect(statesOf()).toEqual(['12 3 used', '7 4 used']);
    expect([3, 4, 5].map((sequence) => files.from(sequence).map((file) => file.sequence))).toEqual([[3, 4], [4], []]);
    expect(files.hasFree).toBe(true);
    // written before: its blocks are there
    expect(files.grant()).toEqual({ path: path(3), sequence: 5, zeroedBytes: 8192 });
    expect([files.hasFree, files.grant()]).toEqual([false, undefined]);
    expect(files.grantEmpty()).toEqual({ path: path(13), sequence: 6, zeroedBytes: 0 });
    expect(files.grantEmpty()).toBeUndefined();
    expect([files.nextSequence, files.firstGranted, files.spare]).toEqual([7, 5, false]);
  });

  test('are as many as there are, though settings allow fewer by now', () => {
    const { files } = world(2, [found(0, 3, 'used'), found(1, 4, 'used'), found(2, 0, 'free')]);
    expect(files.spare).toBe(true);
    expect(files.grantEmpty()).toBeUndefined();
    expect(files.grant()?.path).toBe(path(2));
    expect(files.spare).toBe(false);
  });

  test('that are wanted no longer are written again, those that were never written stay as they are', async () => {
    const { files, statesOf } = world(4, [found(0, 3, 'used'), found(1, 4, 'used'), found(2, 0, 'free')]);
    await files.release(4);
    expect(statesOf()).toEqual(['1 4 used']);
    expect([files.grant()?.path, files.grant()?.path, files.grant()]).toEqual([path(0), path(2), undefined]);
    // granted: nobody knows yet whether it holds anything
    await files.release(100);
    expect(files.grant()?.path).toBe(path(1));
    expect(files.grant()).toBeUndefined();
  });
});

describe('a file that is prepared', () => {
  test('is free, whole, and counts as there', async () => {
    const { files } = world(2);
    const { it, asked } = preparer(() => {
      // it has a place already, and is not to be had yet
      expect([files.hasFree, files.grant()]).toEqual([false, undefined]);
      expect(files.namesFrom(0)).not.toContain(walFileName(asked.length - 1));
      return true;
    });
    expect(await files.prepare(it)).toBe(true);
    expect([asked, files.made, files.hasFree]).toEqual([[path(0)], 1, true]);
    expect(files.namesFrom(0)).toEqual([walFileName(0)]);
    expect(files.grant()).toEqual({ path: path(0), sequence: 5, zeroedBytes: 16_384 });
    expect(await files.prepare(it)).toBe(true);
    expect(await files.prepare(it)).toBe(false);
    expect(asked).toEqual([path(0), path(1)]);
  });

  test('has a place only when it is there: one that could not be made leaves it to another of another name', async () => {
    const { files } = world(1);
    const failing = preparer(false);
    expect(await files.prepare(failing.it)).toBe(false);
    expect(await files.prepare(failing.it)).toBe(false);
    expect(failing.asked).toEqual([path(0), path(1)]);
    expect([files.made, files.hasFree, files.spare]).toEqual([0, false, true]);
    expect(files.grantEmpty()?.path).toBe(path(2));
    expect(files.spare).toBe(false);
  });
});

describe('what a checkpoint names', () => {
  test('is there first: what is granted is made once, and its name synced', async () => {
    const { disk, files } = world(4, [found(0, 3, 'used')]);
    files.grantEmpty();
    files.grantEmpty();
    expect([files.namesFrom(0), files.made]).toEqual([[walFileName(0)], 0]);
    await files.makeGranted();
    expect(disk.calls).toEqual([`create ${path(1)}`, `create ${path(2)}`, 'syncDirectory /w']);
    expect([files.namesFrom(0), files.made]).toEqual([[0, 1, 2].map(walFileName), 2]);
    expect(disk.openHandles).toBe(0);
    await files.makeGranted();
    files.entered(5);
    expect(disk.calls.slice(3)).toEqual(['syncDirectory /w']);
    expect(files.made).toBe(2);
  });

  test('has its name synced when it is there already, and is not touched: who made it may have been killed', async () => {
    const { disk, files } = world(4, [found(0, 3, 'used'), found(1, 0, 'free')]);
    files.grant();
    await files.makeGranted();
    expect(disk.calls).toEqual(['syncDirectory /w']);
    expect(disk.files.get(path(1))?.length).toBe(8192);
  });

  test('is none whose name may be gone after a crash', async () => {
    const { disk, files } = world(4);
    files.grantEmpty();
    disk.fault = (call) => (call.startsWith('syncDirectory') ? coded('EIO') : undefined);
    await expect(files.makeGranted()).rejects.toMatchObject({ code: 'EIO' });
    expect([files.namesFrom(0), files.made]).toEqual([[], 0]);
  });

  test('is counted when the thread has made it itself', () => {
    const { files } = world(4);
    files.grantEmpty();
    files.grantEmpty();
    files.entered(5);
    expect([files.namesFrom(0), files.made]).toEqual([[walFileName(0)], 1]);
    files.entered(5);
    expect(files.made).toBe(1);
    files.entered(6);
    expect([files.namesFrom(0), files.made]).toEqual([[0, 1].map(walFileName), 2]);
  });

  test('does not count what the thread has jumped over', () => {
    const { files, statesOf } = world(4);
    files.grantEmpty();
    files.grantEmpty();
    files.entered(6);
    expect([files.namesFrom(0), files.made]).toEqual([[walFileName(1)], 1]);
    // what it may hold is read all the same
    expect(statesOf()).toEqual(['0 5 used', '1 6 used']);
  });

  test('is not what is being prepared', async () => {
    const { disk, files } = world(4);
    let made: Promise<void> | undefined;
    const { it } = preparer(() => {
      made = files.makeGranted();
      return true;
    });
    await files.prepare(it);
    await made;
    expect(disk.calls).toEqual(['syncDirectory /w']);
  });

  test('are those that have failed, too, as long as they are read, and free ones always', async () => {
    const { files } = world(6, [found(0, 3, 'used'), found(1, 4, 'used'), found(2, 0, 'free')]);
    files.retire(3);
    expect(files.namesFrom(3)).toEqual([0, 1, 2].map(walFileName));
    expect(files.namesFrom(4)).toEqual([1, 2].map(walFileName));
  });
});

describe('files whose writes fail', () => {
  test('are those that are granted and the one that is written: what others hold stays, and may be written again', async () => {
    const { files, statesOf, disk } = world(6, [found(0, 3, 'used'), found(1, 0, 'free')]);
    files.grant();
    files.grantEmpty();
    files.grantEmpty();
    files.entered(5);
    files.entered(6);
    expect(files.retire(6)).toBe(true);
    expect(statesOf()).toEqual(['0 3 used', '1 5 used', '2 6 retired', '3 7 retired']);
    // they do not count
    expect([files.grantEmpty()?.sequence, files.firstGranted]).toEqual([8, 8]);
    await files.release(7);
    expect(disk.calls).toEqual([`unlink ${path(2)}`]);
    expect(statesOf()).toEqual(['3 7 retired']);
    expect([files.grant()?.path, files.grant()?.path, files.grant()]).toEqual([path(0), path(1), undefined]);
    disk.calls.length = 0;
    await files.release(7);
    expect(disk.calls).toEqual([]);
  });

  test('are let go of though they can not be removed', async () => {
    const { files, statesOf, disk } = world(6, [found(0, 3, 'used'), found(1, 4, 'used')]);
    files.retire(3);
    disk.fault = () => coded('EIO');
    await files.release(5);
    expect(statesOf()).toEqual([]);
  });

  test('are 24 at most: with more there is no point in going on', () => {
    const { files } = world(3, [found(0, 3, 'used'), found(1, 4, 'used')]);
    for (let count = 1; count <= 25; count++) {
      const grant = files.grantEmpty();
      files.entered(grant?.sequence ?? 0);
      expect(files.retire(grant?.sequence ?? 0), `${count}`).toBe(count <= 24);
    }
  });
});

test('a file that the thread has left is as long as it was written', async () => {
  const { files } = world(2);
  files.grantEmpty();
  files.grantEmpty();
  files.entered(6);
  files.left(6, 4096);
  files.left(77, 8192);
  await files.release(7);
  expect([files.grant(), files.grant()]).toEqual([
    { path: path(0), sequence: 7, zeroedBytes: 0 },
    { path: path(1), sequence: 8, zeroedBytes: 4096 },
  ]);
});

test('the next group goes to the first that is granted, or the next that will be', () => {
  const { files } = world(3, [found(0, 3, 'used')]);
  expect(files.firstGranted).toBe(5);
  files.grantEmpty();
  files.grantEmpty();
  expect([files.firstGranted, files.nextSequence]).toEqual([5, 7]);
  files.entered(5);
  expect(files.firstGranted).toBe(6);
  files.entered(6);
  expect(files.firstGranted).toBe(7);
});

test('names of files of the log have six digits or more, and nothing beside', () => {
  for (const name of [0, 999_999, 1_000_000].map(walFileName)) expect(isWalFileName(name), name).toBe(true);
  expect(walFileName(1_000_000)).toBe('1000000.wal');
  for (const name of ['00000.wal', 'x000000.wal', '000000.wal.new', '000000_wal', 'abcdef.wal'])
    expect(isWalFileName(name), name).toBe(false);
});
