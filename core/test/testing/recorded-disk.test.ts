import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type FileSystem, nodeFileSystem } from '@robustmq/core';
import {
  type DiskImage,
  RecordedDisk,
  RecordedLog,
  recordedFileSystem,
  SeededRandom,
  SparseBytes,
  type Survivors,
} from '@robustmq/core/testing';
import { describe, expect, onTestFinished, test } from 'vitest';

const everything: Survivors = { names: (count) => count, sector: () => true, resized: () => true };
const nothing: Survivors = { names: () => 0, sector: () => false, resized: () => false };

interface World {
  readonly root: string;
  readonly fs: FileSystem;
  readonly log: RecordedLog;
  left(survives: Survivors): DiskImage;
}

async function world(): Promise<World> {
  const root = await mkdtemp(join(tmpdir(), 'recorded-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const log = new RecordedLog();
  const left = (survives: Survivors): DiskImage => {
    const disk = new RecordedDisk(root);
    for (const event of log.events()) disk.apply(event);
    return disk.left(survives);
  };
  return { root, fs: recordedFileSystem(nodeFileSystem, log), log, left };
}

const textOf = (image: DiskImage): Record<string, string> =>
  Object.fromEntries([...image.files].map(([path, bytes]) => [path, bytes.read(0, bytes.size).toString('latin1')]));

async function put(fs: FileSystem, path: string, text: string, sync: boolean): Promise<void> {
  const file = await fs.open(path, 'w+');
  await file.write(Buffer.from(text), 0);
  if (sync) await file.datasync();
  await file.close();
}

describe('what a power cut leaves', () => {
  test('a write without a sync may be gone, one with a sync is there', async () => {
    const { root, fs, left } = await world();
    await put(fs, join(root, 'a'), 'synced', true);
    await put(fs, join(root, 'b'), 'not synced', false);
    await fs.syncDirectory(root);
    expect(textOf(left(nothing))).toEqual({ a: 'synced', b: '' });
    expect(textOf(left(everything))).toEqual({ a: 'synced', b: 'not synced' });
  });

  test('a synced file whose directory was not synced may have no name', async () => {
    const { root, fs, left } = await world();
    await put(fs, join(root, 'a'), 'synced', true);
    expect(textOf(left(nothing))).toEqual({});
    await fs.syncDirectory(root);
    expect(textOf(left(nothing))).toEqual({ a: 'synced' });
  });

  test('a rename may be there before the data of its file', async () => {
    const { root, fs, left } = await world();
    await put(fs, join(root, 'a'), 'old', true);
    await fs.syncDirectory(root);
    await put(fs, join(root, 'a.tmp'), 'new', false);
    await fs.rename(join(root, 'a.tmp'), join(root, 'a'));
    expect(textOf(left(nothing))).toEqual({ a: 'old' });
    expect(textOf(left({ ...nothing, names: (count) => count }))).toEqual({ a: '' });
    expect(textOf(left(everything))).toEqual({ a: 'new' });
  });

  test('names of a directory come in their order, those of another one do not wait for them', async () => {
    const { root, fs, left } = await world();
    await fs.mkdir(join(root, 'one'));
    await fs.mkdir(join(root, 'two'));
    await fs.syncDirectory(root);
    for (const name of ['one/a', 'one/b', 'two/c']) await put(fs, join(root, name), name, true);
    await fs.syncDirectory(join(root, 'two'));
    expect(Object.keys(textOf(left(nothing)))).toEqual(['two/c']);
    expect(Object.keys(textOf(left({ ...nothing, names: () => 1 })))).toEqual(['one/a', 'two/c']);
  });

  test('names that are not certain are counted, in all directories, until each is synced', async () => {
    const { root, fs, log } = await world();
    const unsynced = (): number => {
      const disk = new RecordedDisk(root);
      for (const event of log.events()) disk.apply(event);
      return disk.unsyncedNames();
    };
    await fs.mkdir(join(root, 'd'));
    await put(fs, join(root, 'd', 'a'), 'a', true);
    await fs.rename(join(root, 'd', 'a'), join(root, 'd', 'b'));
    expect(unsynced()).toBe(3);
    await fs.syncDirectory(join(root, 'd'));
    expect(unsynced()).toBe(1);
    await fs.syncDirectory(root);
    expect(unsynced()).toBe(0);
  });

  test('a log that goes on where another one was cut off gives numbers behind its', async () => {
    const log = new RecordedLog(undefined, 7);
    expect([log.begin({ does: 'mkdir', path: '/a' }), log.begin({ does: 'mkdir', path: '/b' })]).toEqual([7, 8]);
  });

  test('a removed file may be back, with what was synced of it', async () => {
    const { root, fs, left } = await world();
    await put(fs, join(root, 'a'), 'kept', true);
    await fs.syncDirectory(root);
    await fs.unlink(join(root, 'a'));
    expect(textOf(left(nothing))).toEqual({ a: 'kept' });
    expect(textOf(left(everything))).toEqual({});
    await fs.syncDirectory(root);
    expect(textOf(left(nothing))).toEqual({});
  });

  test('sectors of a write come one by one; a sector that came late has what was written to it before', async () => {
    const { root, fs, left } = await world();
    const file = await fs.open(join(root, 'a'), 'w+');
    await fs.syncDirectory(root);
    await file.write(Buffer.alloc(1536, 'x'), 0);
    await file.write(Buffer.from('yy'), 512);
    await file.close();
    const second = left({ ...nothing, sector: (op, sector) => op === 3 && sector === 1 }).files.get('a');
    expect(second?.size).toBe(1024);
    expect(second?.read(510, 6).toString('latin1')).toBe('\0\0yyxx');
    const mixed = left({ ...nothing, sector: (_, sector) => sector === 2 }).files.get('a');
    expect(mixed?.size).toBe(1536);
    expect(mixed?.read(1022, 4).toString('latin1')).toBe('\0\0xx');
  });

  test('a file is cut before what is written to it later', async () => {
    const { root, fs, left } = await world();
    await put(fs, join(root, 'a'), 'a long text', true);
    await fs.syncDirectory(root);
    await put(fs, join(root, 'a'), 'new', false);
    expect(textOf(left(nothing))).toEqual({ a: 'a long text' });
    expect(textOf(left({ ...nothing, resized: () => true }))).toEqual({ a: '' });
    expect(textOf(left({ ...nothing, sector: () => true }))).toEqual({ a: 'new' });
  });

  test('a write that was begun and has not returned may be there, with O_DSYNC too; once it has returned it is', async () => {
    const { root, fs, log } = await world();
    const script = `
      const { workerData } = require('node:worker_threads');
      import(workerData.fs.module).then(async ({ createSyncFileSystem }) => {
        const fs = await createSyncFileSystem(workerData.fs.options);
        const fd = fs.open(workerData.path, 'wx+ds');
        fs.syncDirectory(workerData.root);
        fs.writev(fd, [Buffer.from('in a '), Buffer.from('worker')], 0);
        fs.close(fd);
      });`;
    const worker = new Worker(script, { eval: true, workerData: { fs: fs.worker, root, path: join(root, 'a') } });
    await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
    const disk = new RecordedDisk(root);
    const seen: string[][] = [];
    for (const event of log.events()) {
      disk.apply(event);
      seen.push([textOf(disk.left(nothing)).a ?? '-', textOf(disk.left(everything)).a ?? '-']);
    }
    const text = 'in a worker';
    expect(seen).toEqual([
      ['-', ''],
      ['-', ''],
      ['-', ''],
      ['', ''],
      ['', text],
      [text, text],
    ]);
  });

  test('failed calls change nothing but what a failed write may have', async () => {
    const { root, fs, left } = await world();
    await put(fs, join(root, 'a'), 'here', true);
    await fs.syncDirectory(root);
    await expect(fs.open(join(root, 'a'), 'wx+')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(fs.open(join(root, 'none', 'b'), 'w+')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(fs.rename(join(root, 'x'), join(root, 'a'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(fs.rename(join(root, 'a'), join(root, 'none', 'a'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(fs.unlink(join(root, 'x'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(textOf(left(everything))).toEqual({ a: 'here' });
  });
});

test('marks lie between the steps where they were put', async () => {
  const { root, fs, log } = await world();
  log.mark('before');
  await put(fs, join(root, 'a'), 'x', true);
  log.mark({ after: true });
  const kinds = log.events().map((event) => (event.kind === 'mark' ? event.mark : event.kind));
  expect(kinds).toEqual(['before', ...Array.from({ length: 3 }, () => ['begin', 'end']).flat(), { after: true }]);
});

test('more than fits is said aloud', () => {
  const log = new RecordedLog();
  const bytes = [Buffer.alloc(8 * 1024 * 1024, 1)];
  for (let i = 0; i < 9; i++)
    log.begin({ does: 'write', file: 0, position: 0, length: bytes.length, synced: false }, bytes);
  expect(() => log.events()).toThrow('too many to be recorded');
});

test('zeros take no room', () => {
  const log = new RecordedLog();
  for (let i = 0; i < 20; i++)
    log.begin({ does: 'write', file: 0, position: 0, length: 8 << 20, synced: false }, [Buffer.alloc(8 << 20)]);
  expect(log.events()).toHaveLength(20);
  const bytes = new SparseBytes();
  bytes.write(0, 1 << 30);
  bytes.write(5000, 3, Buffer.from('abc'));
  bytes.truncate(5002);
  expect([bytes.size, bytes.pages.size, bytes.read(4999, 99).toString('latin1')]).toEqual([5002, 1, '\0ab']);
});

test.each([1, 2, 3, 4, 5])(
  'after any calls everything is what the real disk holds, and so is nothing once all is synced (seed %i)',
  async (seed) => {
    const random = new SeededRandom(seed);
    const { root, fs, left } = await world();
    const pick = (count: number): number => Math.floor(random.next() * count);
    const directories = [root, join(root, 'd'), join(root, 'd', 'e')];
    await fs.mkdir(directories[2] ?? '');
    const path = (): string => join(directories[pick(3)] ?? root, `f${pick(4)}`);
    for (let i = 0; i < 200; i++) {
      const does = pick(6);
      const at = path();
      if (does === 0) await fs.rename(at, path()).catch(() => {});
      else if (does === 1) await fs.unlink(at).catch(() => {});
      else {
        const flags = (['w+', 'r+', 'wx+', 'r'] as const)[pick(4)] ?? 'r';
        const file = await fs.open(at, flags).catch(() => undefined);
        if (file === undefined) continue;
        for (let n = pick(4); n > 0 && flags !== 'r'; n--) {
          if (pick(4) === 0) await file.truncate(pick(10_000));
          else await file.write(Buffer.alloc(1 + pick(6000), pick(3)), pick(9000));
          if (pick(3) === 0) await file.datasync();
        }
        await file.close();
      }
      if (pick(10) === 0) await fs.syncDirectory(directories[pick(3)] ?? root);
    }
    const real: Record<string, string> = {};
    for (const name of await readdir(root, { recursive: true }))
      if ((await stat(join(root, name))).isFile()) real[name] = (await readFile(join(root, name))).toString('latin1');
    expect(textOf(left(everything))).toEqual(real);
    for (const name of Object.keys(real)) {
      const file = await fs.open(join(root, name), 'r+');
      await file.datasync();
      await file.close();
    }
    for (const directory of directories) await fs.syncDirectory(directory);
    expect(textOf(left(nothing))).toEqual(real);
  },
);
