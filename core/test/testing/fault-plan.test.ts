import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem, type SyncFileSystem } from '@robustmq/core';
import { FaultPlan, faultyFileSystem } from '@robustmq/core/testing';
import { expect, onTestFinished, test } from 'vitest';

async function world() {
  const dir = await mkdtemp(join(tmpdir(), 'fault-plan-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const plan = new FaultPlan();
  const fs = faultyFileSystem(nodeFileSystem, plan);
  const module: { createSyncFileSystem(options: unknown): SyncFileSystem | Promise<SyncFileSystem> } = await import(
    fs.worker.module
  );
  return { dir, plan, fs, sync: await module.createSyncFileSystem(fs.worker.options), path: join(dir, 'a') };
}

const EIO = expect.objectContaining({ code: 'EIO', errno: -5, syscall: expect.any(String) });

test('counts what changes the disk in both halves, and fails exactly the one it was told, whatever it is', async () => {
  const { plan, fs, sync, path } = await world();
  const work = async (): Promise<string> => {
    try {
      const file = await fs.open(path, 'w+');
      try {
        await file.write(Buffer.from('one'), 0);
        await file.read(Buffer.alloc(3), 0, 3, 0);
        await file.datasync();
      } finally {
        await file.close();
      }
      const fd = sync.open(path, 'r+ds');
      try {
        sync.writev(fd, [Buffer.from('two')], 3);
      } finally {
        sync.close(fd);
      }
      await fs.rename(path, `${path}2`);
      sync.unlink(`${path}2`);
      return 'all done';
    } catch (error) {
      return (error as { syscall: string }).syscall;
    }
  };
  expect(await work()).toBe('all done');
  expect([plan.steps(), plan.steps('write'), plan.steps('durable'), plan.steps('read')]).toEqual([6, 2, 2, 1]);
  const failed: string[] = [];
  for (let nth = 1; nth <= 7; nth++) {
    const hits = plan.failStep(nth, { how: 'error' });
    failed.push(await work());
    expect(hits()).toBe(nth === 7 ? 0 : 1);
    plan.release();
  }
  expect(failed).toEqual(['create', 'write', 'sync', 'write', 'rename', 'unlink', 'all done']);
});

test('writes a half and fails, does all and says it failed, each in both halves', async () => {
  const { plan, fs, sync, path } = await world();
  const file = await fs.open(path, 'w+');
  const fd = sync.open(path, 'r+');
  plan.failStep(1, { how: 'short', code: 'ENOSPC', of: ['write'] });
  await expect(file.write(Buffer.from('1234'), 0)).rejects.toMatchObject({ code: 'ENOSPC', errno: -28 });
  expect(await readFile(path, 'utf8')).toBe('12');
  plan.failStep(1, { how: 'short', of: ['write'] });
  expect(() => sync.writev(fd, [Buffer.from('a'), Buffer.from('bcdef')], 2)).toThrow(EIO);
  expect(await readFile(path, 'utf8')).toBe('12abc');
  plan.failStep(1, { how: 'lost', of: ['write'] });
  await expect(file.write(Buffer.from('xy'), 0)).rejects.toEqual(EIO);
  plan.failStep(2, { how: 'lost' });
  sync.datasync(fd);
  expect(() => sync.writev(fd, [Buffer.from('z')], 5)).toThrow(EIO);
  expect(await readFile(path, 'utf8')).toBe('xyabcz');
  await file.write(Buffer.from('!'), 0);
  expect(await readFile(path, 'utf8')).toBe('!yabcz');
  sync.close(fd);
  await file.close();
});

test('a sync that forgets takes back what was written since the one before, and the next one succeeds', async () => {
  const { plan, fs, sync, path } = await world();
  plan.failStep(2, { how: 'forgotten', of: ['sync'] });
  const file = await fs.open(path, 'w+');
  await file.write(Buffer.from('safe'), 0);
  await file.datasync();
  await file.write(Buffer.from('XX'), 1);
  await file.write(Buffer.from('longer'), 2);
  await expect(file.datasync()).rejects.toEqual(EIO);
  await file.datasync();
  expect(await readFile(path, 'utf8')).toBe('safe');
  await file.close();
  plan.failStep(1, { how: 'forgotten', of: ['sync'] });
  const fd = sync.open(path, 'r+');
  sync.writev(fd, [Buffer.from('gone')], 2);
  expect(() => sync.datasync(fd)).toThrow(EIO);
  sync.datasync(fd);
  sync.close(fd);
  expect(await readFile(path, 'utf8')).toBe('safe');
});

test('holds what makes durable, and answers late what is done already', async () => {
  const { plan, fs, path } = await world();
  const file = await fs.open(path, 'w+');
  const held = plan.failStep(1, { how: 'held', of: ['durable'], every: 1 });
  await file.write(Buffer.from('1'), 0);
  const states: string[] = [];
  const sync = file.datasync().then(() => states.push('synced'));
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect([held(), states]).toEqual([1, []]);
  plan.release();
  await sync;
  const late = plan.failStep(2, { how: 'late', every: 2, forMs: 5 });
  await file.write(Buffer.from('2'), 1);
  const write = file.write(Buffer.from('3'), 2).then(() => states.push('written'));
  while (late() === 0) await new Promise(setImmediate);
  while ((await readFile(path, 'utf8')) !== '123') await new Promise(setImmediate);
  await write;
  expect(states).toEqual(['synced', 'written']);
  await file.close();
});

test('is cut off as a whole: nothing is under way any more, what was held fails, nothing else begins', async () => {
  const { dir, plan, fs, sync, path } = await world();
  const file = await fs.open(path, 'w+');
  const held = plan.stall('write', /a$/);
  const write = file.write(Buffer.from('1'), 0).then(
    () => 'written',
    (error: unknown) => error,
  );
  while (held() === 0) await new Promise(setImmediate);
  const syncs = Promise.allSettled(Array.from({ length: 10 }, () => file.datasync()));
  await plan.cut();
  expect(await write).toEqual(EIO);
  await syncs;
  for (const operation of [
    () => fs.open(path, 'r'),
    () => file.read(Buffer.alloc(1), 0, 1, 0),
    () => file.write(Buffer.from('1'), 0),
    () => file.datasync(),
    () => file.truncate(0),
    () => file.size(),
    () => fs.rename(path, `${path}2`),
    () => fs.unlink(path),
    () => fs.mkdir(join(dir, 'b')),
    () => fs.readdir(dir),
    () => fs.syncDirectory(dir),
    async () => sync.open(path, 'r'),
    async () => sync.unlink(path),
  ])
    await expect(operation()).rejects.toEqual(EIO);
  expect(await readFile(path, 'utf8')).toBe('');
  await file.close();
});
