import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileSystem, lockDirectory, nodeFileSystem, type SyncFileSystem } from '@robustmq/core';
import { FaultPlan, faultyFileSystem } from '@robustmq/core/testing';
import { describe, expect, onTestFinished, test } from 'vitest';

async function directory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'file-system-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function syncHalf(fs: FileSystem): Promise<SyncFileSystem> {
  const module: { createSyncFileSystem(options: unknown): SyncFileSystem | Promise<SyncFileSystem> } = await import(
    fs.worker.module
  );
  return module.createSyncFileSystem(fs.worker.options);
}

const plan = new FaultPlan();

describe.each([
  ['the real one', nodeFileSystem],
  ['the faulty one without a fault', faultyFileSystem(nodeFileSystem, plan)],
])('a file system, %s', (_name, fs) => {
  test('writes and reads at positions, and says what is there', async () => {
    const dir = await directory();
    await fs.mkdir(join(dir, 'deep', 'er'));
    await fs.mkdir(join(dir, 'deep', 'er'));
    const path = join(dir, 'a');
    await expect(fs.open(path, 'r+')).rejects.toMatchObject({ code: 'ENOENT' });
    const file = await fs.open(path, 'wx+');
    await expect(fs.open(path, 'wx+')).rejects.toMatchObject({ code: 'EEXIST' });
    await file.write(Buffer.from('world'), 6);
    await file.write(Buffer.from('hello '), 0);
    await file.datasync();
    const into = Buffer.alloc(20);
    expect(await file.read(into, 1, 19, 0)).toBe(11);
    expect(into.toString('utf8', 1, 12)).toBe('hello world');
    expect(await file.read(into, 0, 5, 100)).toBe(0);
    await file.truncate(5);
    expect(await file.size()).toBe(5);
    await file.close();
    await fs.rename(path, join(dir, 'b'));
    await fs.syncDirectory(dir);
    expect((await fs.readdir(dir)).sort()).toEqual(['b', 'deep']);
    await fs.unlink(join(dir, 'b'));
    await expect(fs.unlink(join(dir, 'b'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await fs.freeBytes(dir)).toBeGreaterThan(0);
  });

  test('has a half for workers that does the same, blocking', async () => {
    const dir = await directory();
    const sync = await syncHalf(fs);
    const path = join(dir, 'a');
    const fd = sync.open(path, 'wx+ds');
    expect(() => sync.open(path, 'wx+ds')).toThrow(/EEXIST/);
    const shared = new Uint8Array(new SharedArrayBuffer(5)).fill(0x61);
    sync.writev(fd, [Buffer.from('1234'), shared], 2);
    sync.datasync(fd);
    const into = Buffer.alloc(20);
    expect(sync.read(fd, into, 0)).toBe(11);
    expect(into.subarray(0, 11)).toEqual(Buffer.from('\0\x001234aaaaa'));
    sync.close(fd);
    sync.rename(path, join(dir, 'b'));
    sync.syncDirectory(dir);
    expect(await readFile(join(dir, 'b'))).toEqual(into.subarray(0, 11));
    sync.unlink(join(dir, 'b'));
    expect(() => sync.open(join(dir, 'b'), 'r')).toThrow(/ENOENT/);
  });
});

test('a planned fault hits the operation, the path and the count it was planned for, in both halves', async () => {
  const dir = await directory();
  const faults = new FaultPlan();
  const fs = faultyFileSystem(nodeFileSystem, faults);
  const file = await fs.open(join(dir, 'x.log'), 'w+');
  const other = await fs.open(join(dir, 'y'), 'w+');
  const hits = faults.fail('write', /\.log$/, { code: 'EIO', after: 1, times: 2 });
  await file.write(Buffer.from('1'), 0);
  await other.write(Buffer.from('1'), 0);
  await expect(file.write(Buffer.from('2'), 1)).rejects.toMatchObject({ code: 'EIO' });
  const sync = await syncHalf(fs);
  const fd = sync.open(join(dir, 'x.log'), 'r+ds');
  expect(() => sync.writev(fd, [Buffer.from('3')], 1)).toThrow(/EIO/);
  sync.writev(fd, [Buffer.from('4')], 1);
  expect(hits()).toBe(2);
  sync.close(fd);
  expect(await readFile(join(dir, 'x.log'), 'utf8')).toBe('14');
  expect([faults.writtenBytes(/\.log$/), faults.writtenBytes(/y$/), faults.workerBytesWritten]).toEqual([1, 1, 1]);
  await file.close();
  await other.close();
});

test('a stalled operation waits until it is released, and a budget is a disk of that size', async () => {
  const dir = await directory();
  const faults = new FaultPlan();
  const fs = faultyFileSystem(nodeFileSystem, faults);
  const file = await fs.open(join(dir, 'a'), 'w+');
  const held = faults.stall('sync', /a$/);
  let synced = false;
  const sync = file.datasync().then(() => {
    synced = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect([held(), synced]).toEqual([1, false]);
  faults.release();
  await sync;
  faults.budget(10);
  expect(await fs.freeBytes(dir)).toBe(10);
  await file.write(Buffer.alloc(8), 0);
  await expect(file.write(Buffer.alloc(8), 4)).rejects.toMatchObject({ code: 'ENOSPC' });
  await file.write(Buffer.alloc(8), 0);
  await file.write(Buffer.alloc(2), 8);
  faults.budget(undefined);
  await file.write(Buffer.alloc(100), 0);
  await file.close();
});

test('a directory is locked for one at a time: in this process, for others, and until a kill -9 at the latest', async () => {
  const dir = await directory();
  const lock = await lockDirectory(dir);
  await expect(lockDirectory(dir)).rejects.toMatchObject({
    code: 'DIRECTORY_LOCKED',
    message: expect.stringContaining(dir),
  });
  await lock.release();
  const module = new URL('../../src/fs/directory-lock.ts', import.meta.url).href;
  const script = `const { lockDirectory } = await import(${JSON.stringify(module)});
    await lockDirectory(${JSON.stringify(dir)}); console.log('locked'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  await expect(lockDirectory(dir)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED', retryable: true });
  child.kill('SIGKILL');
  await once(child, 'close');
  await (await lockDirectory(dir)).release();
});
