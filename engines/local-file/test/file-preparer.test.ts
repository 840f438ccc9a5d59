import { describe, expect, test } from 'vitest';
import { FilePreparer, isUnfinished } from '../src/wal/file-preparer.ts';
import { encodePrepared } from '../src/wal/frames.ts';
import { coded, MemoryDisk } from './memory-disk.ts';

const MIB = 1024 * 1024;
const PATH = '/w/000004.wal';
const NEW = `${PATH}.new`;

function world(fileBytes: number, reserveBytes = 0) {
  const disk = new MemoryDisk();
  const preparer = new FilePreparer({ fs: disk.fs, dir: '/w', fileBytes, reserveBytes });
  const steps = (): string[] => disk.calls.map((call) => call.replace(NEW, 'new').replace(PATH, 'it'));
  return { disk, preparer, steps };
}

describe('a file that is prepared for the log', () => {
  test('is zeros but for what marks it as prepared, which comes last; and has its name only when all of it is on the disk', async () => {
    const { disk, preparer, steps } = world(MIB + 5000);
    disk.files.set(NEW, Buffer.alloc(10, 0xee));
    expect(await preparer.prepare(PATH)).toBe(true);
    expect(steps()).toEqual([
      'create new',
      'write new',
      'write new',
      'write new',
      'sync new',
      'rename it',
      'syncDirectory /w',
    ]);
    const marked = Buffer.alloc(MIB + 5000);
    marked.set(encodePrepared(), 0);
    expect([...disk.files.keys()]).toEqual([PATH]);
    expect(disk.files.get(PATH)?.equals(marked)).toBe(true);
    expect([disk.openHandles, preparer.busy, preparer.fileBytes]).toEqual([0, false, MIB + 5000]);
  });

  test.each([
    ['smaller than one piece', 8192, 1],
    ['just a piece', MIB, 1],
    ['just under what is synced at once', 8 * MIB - 1, 1],
    ['as large as what is synced at once', 8 * MIB, 2],
    ['with more behind it', 20 * MIB + 1, 3],
  ])('is synced little by little: %s', async (_, fileBytes, syncs) => {
    const { disk, preparer, steps } = world(fileBytes);
    expect(await preparer.prepare(PATH)).toBe(true);
    expect(disk.files.get(PATH)?.length).toBe(fileBytes);
    expect(steps().filter((step) => step === 'sync new')).toHaveLength(syncs);
    // a piece each, and the mark
    expect(steps().filter((step) => step === 'write new')).toHaveLength(Math.ceil(fileBytes / MIB) + 1);
    if (syncs > 1) expect(steps().indexOf('sync new')).toBe(9);
  });

  test('is made only where as much again and the reserve stay free', async () => {
    const { disk, preparer } = world(8192, 1000);
    disk.free = 2 * 8192 + 999;
    expect(await preparer.prepare(PATH)).toBe(false);
    expect(disk.calls).toEqual([]);
    disk.free = 2 * 8192 + 1000;
    expect(await preparer.prepare(PATH)).toBe(true);
  });

  test('is not made where nobody can say how much is free', async () => {
    const { disk } = world(8192);
    const fs = { ...disk.fs, freeBytes: () => Promise.reject(coded('EIO')) };
    expect(await new FilePreparer({ fs, dir: '/w', fileBytes: 8192, reserveBytes: 0 }).prepare(PATH)).toBe(false);
    expect(disk.calls).toEqual([]);
  });

  test.each(['create', 'write', 'sync new', 'rename', 'syncDirectory'])(
    'leaves nothing behind when it fails: %s',
    async (step) => {
      const { disk, preparer } = world(8192);
      disk.fault = (call) => (call.replace(NEW, 'new').startsWith(step) ? coded('ENOSPC') : undefined);
      expect(await preparer.prepare(PATH)).toBe(false);
      expect([...disk.files.keys()]).toEqual([]);
      expect([disk.openHandles, preparer.busy]).toEqual([0, false]);
      // and the next one is tried
      disk.fault = () => undefined;
      expect(await preparer.prepare(PATH)).toBe(true);
    },
  );

  test('is given up when that is no longer wanted, and the disk is as it was', async () => {
    const { disk, preparer } = world(4 * MIB);
    let stopped: Promise<void> | undefined;
    disk.hold = (call) => {
      if (call.startsWith('write')) stopped ??= preparer.stop();
      return undefined;
    };
    const prepared = preparer.prepare(PATH);
    expect(preparer.busy).toBe(true);
    expect(() => preparer.prepare('/w/000005.wal')).toThrow('already');
    expect(await prepared).toBe(false);
    await stopped;
    expect(disk.calls).toEqual([`create ${NEW}`, `write ${NEW}`, `unlink ${NEW}`]);
    expect([disk.files.size, disk.openHandles]).toEqual([0, 0]);
    disk.calls.length = 0;
    expect(await preparer.prepare(PATH)).toBe(false);
    expect(disk.calls).toEqual([]);
  });

  test('is waited for by whoever stops', async () => {
    const { disk, preparer } = world(8192);
    let goOn = (): void => {};
    disk.hold = (call) => (call.startsWith('write') ? new Promise<void>((resolve) => (goOn = resolve)) : undefined);
    const prepared = preparer.prepare(PATH);
    await new Promise((resolve) => setImmediate(resolve));
    let stopped = false;
    const stopping = preparer.stop().then(() => {
      stopped = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(stopped).toBe(false);
    disk.hold = () => undefined;
    goOn();
    await stopping;
    expect(preparer.busy).toBe(false);
    await prepared;
  });

  test('is known by its other name as long as it is not whole', () => {
    expect(isUnfinished('000004.wal.new')).toBe(true);
    for (const name of ['000004.wal', 'new', '000004.new', '000004.wal.new.old'])
      expect(isUnfinished(name)).toBe(false);
  });
});
