import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SegmentWriter } from '@robustmq/core';
import { expect, test } from 'vitest';
import { FilePreparer } from '../src/wal/file-preparer.ts';
import { surveyWal } from '../src/wal/survey.ts';
import { walFileName } from '../src/wal/wal-files.ts';
import { batch, create, faulty, open, readAll, snapshot, temporaryDirectory } from './harness.ts';

const FILE_BYTES = 512 * 1024;

/** Appends so many bytes, with many in flight. */
async function fill(writer: SegmentWriter, base: number, bytes: number): Promise<number> {
  let at = base;
  const appends: Promise<unknown>[] = [];
  for (let sum = 0; sum < bytes; sum += 9000) {
    await writer.ready(9000);
    appends.push(writer.append([batch(at, 8900)], { base: at }));
    at++;
  }
  await Promise.all(appends);
  return at;
}

const isNew = (name: string): boolean => name.endsWith('.new');

test('a prepared file is whole and known as empty by its first sector', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const preparer = new FilePreparer({ fs, dir, fileBytes: 3_000_000, reserveBytes: 0 });
  expect(await preparer.prepare(join(dir, walFileName(4)))).toBe(true);
  expect(await readdir(dir)).toEqual(['000004.wal']);
  expect((await stat(join(dir, '000004.wal'))).size).toBe(3_000_000);
  const { files, replay } = await surveyWal(fs, dir, 0);
  expect(files).toMatchObject([{ sequence: 0, zeroedBytes: 3_000_000, state: 'free' }]);
  expect(replay).toEqual([]);
  expect(plan.readBytes(/\.wal$/)).toBe(4096);
});

test('a file that cannot be prepared leaves nothing behind', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const path = join(dir, walFileName(0));
  const options = { fs, dir, fileBytes: 3_000_000, reserveBytes: 0 };
  for (const operation of ['write', 'sync', 'rename'] as const) {
    const failed = plan.fail(operation, /\.wal/, { code: operation === 'write' ? 'ENOSPC' : 'EIO' });
    expect(await new FilePreparer(options).prepare(path)).toBe(false);
    expect(failed()).toBe(1);
    expect(await readdir(dir)).toEqual([]);
  }
  plan.budget(5_000_000);
  expect(await new FilePreparer(options).prepare(path)).toBe(false);
  plan.budget(undefined);
  const stopped = new FilePreparer(options);
  const held = plan.stall('write', /\.new$/);
  const prepared = stopped.prepare(path);
  while (held() === 0) await new Promise((resolve) => setImmediate(resolve));
  const stop = stopped.stop();
  plan.release();
  await stop;
  expect(await prepared).toBe(false);
  expect(await readdir(dir)).toEqual([]);
});

test('the log goes on into prepared files, and into others when none can be prepared; either way nothing is lost', async () => {
  for (const failing of [false, true]) {
    const dir = await temporaryDirectory();
    const { fs, plan } = faulty();
    const failed = failing
      ? plan.fail('write', /\.wal\.new$/, { code: 'ENOSPC', times: Number.POSITIVE_INFINITY })
      : () => 0;
    const { engine } = await open(dir, { fs });
    const writer = await create(engine, 'a');
    const end = await fill(writer, 0, 6 * FILE_BYTES);
    expect(failed() > 0).toBe(failing);
    // the first is made by whoever writes it
    expect(plan.writtenBytes(/\.wal\.new$/) > 0).toBe(!failing);
    const all = await readAll(writer, 0, 1 << 20);
    const crashed = await snapshot(dir);
    await engine.close();
    for (const from of [crashed, dir]) {
      const again = await open(from);
      expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end });
      expect((await readAll(await again.engine.openReader('a'), 0, 1 << 20)).equals(all)).toBe(true);
      await again.engine.close();
    }
  }
});

test('closing while a file is prepared leaves none that is half done, and an opening removes what a crash has left', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine } = await open(dir, { fs });
  const writer = await create(engine, 'a');
  const held = plan.stall('write', /\.wal\.new$/);
  let end = 0;
  while (held() === 0) end = await fill(writer, end, 9000);
  const closed = engine.close();
  await new Promise((resolve) => setImmediate(resolve));
  plan.release();
  await closed;
  const wal = join(dir, 'wal');
  expect((await readdir(wal)).filter(isNew)).toEqual([]);
  await writeFile(join(wal, '000007.wal.new'), Buffer.alloc(100_000));
  const again = await open(dir);
  expect((await readdir(wal)).filter(isNew)).toEqual([]);
  expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end });
  await again.engine.close();
});
