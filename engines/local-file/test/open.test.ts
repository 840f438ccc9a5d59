import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StorageEngine } from '@robustmq/core';
import { expect, test } from 'vitest';
import { batch, create, faulty, open, readAll, snapshot, temporaryDirectory } from './harness.ts';

const flip = (path: string, at: number): void => {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
};

async function fill(engine: StorageEngine, id: string, count: number, payloadBytes: number): Promise<void> {
  const writer = await create(engine, id);
  for (let base = 0; base < count; base++) {
    for (let wait = writer.ready(payloadBytes + 61); wait !== undefined; wait = writer.ready(payloadBytes + 61))
      await wait;
    await writer.append([batch(base, payloadBytes)], { base });
  }
}

/** A sealed segment whose footer is on the disk and which the log has forgotten. */
async function sealedDirectory(): Promise<string> {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  await fill(engine, 'a', 60, 1000);
  await engine.recover('a', { epoch: 1 });
  await engine.close();
  return dir;
}

test('opening reads footers, indexes and the tail of the log, however much there is', async () => {
  const dir = await temporaryDirectory();
  const first = await open(dir);
  for (let i = 0; i < 20; i++) {
    await fill(first.engine, `sealed-${i}`, 100, 5000);
    await first.engine.recover(`sealed-${i}`, { epoch: 1 });
  }
  await first.engine.close();
  const second = await open(dir);
  await fill(second.engine, 'open', 40, 5000);
  const crashed = await snapshot(dir);
  await second.engine.close();
  const stored = readdirSync(join(dir, 'segments')).reduce(
    (sum, name) => sum + statSync(join(dir, 'segments', name)).size,
    0,
  );
  expect(stored).toBeGreaterThan(10_000_000);
  const { fs, plan } = faulty();
  const third = await open(crashed, { fs });
  expect(plan.readBytes(/segments/)).toBe(0);
  // four files of 512 KiB, of which those since the checkpoint are read
  expect(plan.readBytes(/./)).toBeLessThan(2.2 * 1024 * 1024);
  expect(await third.engine.recover('open', { epoch: 2 })).toEqual({ end: 40 });
  const reader = await third.engine.openReader('sealed-7');
  expect(plan.readBytes(/sealed-7/)).toBe(128);
  await reader.read(50, { maxBytes: 1 });
  expect(plan.readBytes(/sealed-7/)).toBeLessThan(100_000);
  await third.engine.close();
});

test('a damaged index is made again from the log, and answers as before', async () => {
  const dir = await sealedDirectory();
  const path = join(dir, 'segments', 'a.index');
  const whole = readFileSync(path);
  expect(whole.length).toBeGreaterThan(320);
  for (const how of ['gone', 'short', 'flipped'] as const) {
    writeFileSync(path, whole);
    if (how === 'gone') unlinkSync(path);
    else if (how === 'short') truncateSync(path, 70);
    else flip(path, 100);
    const { engine } = await open(dir);
    const reader = await engine.openReader('a');
    expect((await reader.read(41, { maxBytes: 1 })).bytes).toEqual(batch(41, 1000));
    expect(await reader.offsetForTimestamp(1033)).toBe(33);
    await engine.close();
  }
});

test('a damaged footer, a log that is too short and one that is gone each say so', async () => {
  const dir = await sealedDirectory();
  const log = join(dir, 'segments', 'a.log');
  const footer = join(dir, 'segments', 'a.footer');
  const { engine } = await open(dir);
  const wholeFooter = readFileSync(footer);
  flip(footer, 40);
  await expect(engine.openReader('a')).rejects.toMatchObject({ code: 'CORRUPT' });
  await expect(engine.recover('a', { epoch: 1 })).rejects.toMatchObject({ code: 'CORRUPT' });
  writeFileSync(footer, wholeFooter);
  flip(footer, 130);
  await expect((await engine.openReader('a')).state()).rejects.toMatchObject({ code: 'CORRUPT' });
  writeFileSync(footer, wholeFooter);
  truncateSync(log, statSync(log).size - 1);
  await expect(engine.openReader('a')).rejects.toMatchObject({ code: 'CORRUPT' });
  unlinkSync(log);
  await expect(engine.openReader('a')).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
  await expect(engine.recover('a', { epoch: 1 })).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
  unlinkSync(footer);
  await expect(engine.recover('a', { epoch: 1 })).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
  await engine.delete('a');
  await expect(engine.recover('a', { epoch: 1 })).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await engine.close();
});

test('damage in the log below a proven end is CORRUPT for the segment it hits, and for no other', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const [a, b] = [await create(engine, 'a'), await create(engine, 'b')];
  await a.append([batch(0, 200)], { base: 0 });
  await b.append([batch(0, 200)], { base: 0 });
  await a.append([batch(1, 200)], { base: 1 });
  const crashed = await snapshot(dir);
  await engine.close();
  const wal = join(crashed, 'wal', '000000.wal');
  // the payload of the first append
  flip(wal, readFileSync(wal).indexOf('payload of 0;') + 5);
  for (let round = 0; round < 3; round++) {
    const again = await open(crashed);
    await expect(again.engine.recover('a', { epoch: 2 })).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(await again.engine.recover('b', { epoch: 2 })).toEqual({ end: 1 });
    await expect(again.engine.recover('never', { epoch: 2 })).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
    await again.engine.close();
  }
});

test('damage that leaves nobody named is CORRUPT for what is open, and not for what a later seal proves whole', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const [a, b] = [await create(engine, 'a'), await create(engine, 'b')];
  await a.append([batch(0, 200)], { base: 0 });
  await b.append([batch(7, 200)], { base: 0 });
  await a.append([batch(1, 200)], { base: 1 });
  await a.seal();
  const crashed = await snapshot(dir);
  await engine.close();
  const wal = join(crashed, 'wal', '000000.wal');
  // the header of the only entry of b's group: 61 bytes of batch header and 48 of its own in front of the payload
  flip(wal, readFileSync(wal).indexOf('payload of 7;') - 61 - 20);
  const again = await open(crashed);
  await expect(again.engine.recover('b', { epoch: 2 })).rejects.toMatchObject({ code: 'CORRUPT' });
  expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 2 });
  expect(await readAll(await again.engine.openReader('a'), 0)).toEqual(Buffer.concat([batch(0, 200), batch(1, 200)]));
  await expect(again.engine.recover('other', { epoch: 2 })).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
  await again.engine.close();
});

test('a lost checkpoint or a lost directory never makes a segment one that never was', async () => {
  for (const gone of ['checkpoint', 'segments'] as const) {
    const dir = await temporaryDirectory();
    const { engine, health } = await open(dir);
    expect(health).toEqual([]);
    await fill(engine, 'sealed', 3, 100);
    await engine.recover('sealed', { epoch: 1 });
    await engine.close();
    await rm(join(dir, gone), { recursive: true });
    // the log would be forgotten: only an operator may say so
    if (gone === 'checkpoint') await rm(join(dir, 'wal'), { recursive: true });
    for (let round = 0; round < 2; round++) {
      const again = await open(dir);
      expect(again.engine.incarnation).toBe(engine.incarnation);
      await expect(again.engine.recover('other', { epoch: 2 })).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
      if (gone === 'segments')
        await expect(again.engine.openReader('sealed')).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
      else expect((await readAll(await again.engine.openReader('sealed'), 0)).length).toBe(3 * 161);
      // and new ones work
      await fill(again.engine, `new-${round}`, 2, 100);
      await again.engine.close();
    }
  }
});

test('a directory of a newer release is refused, and one that was wiped has another name', async () => {
  const dir = await temporaryDirectory();
  const first = await open(dir);
  await first.engine.close();
  const name = readFileSync(join(dir, 'INSTANCE'), 'utf8');
  writeFileSync(join(dir, 'INSTANCE'), name.replace('RMQL 1', 'RMQL 2'));
  await expect(open(dir)).rejects.toMatchObject({ code: 'FORMAT_TOO_NEW' });
  writeFileSync(join(dir, 'INSTANCE'), 'nonsense');
  await expect(open(dir)).rejects.toMatchObject({ code: 'CORRUPT' });
  await rm(dir, { recursive: true });
  const second = await open(dir);
  expect(second.engine.incarnation).not.toBe(first.engine.incarnation);
  await second.engine.close();
});

test('a directory in use is refused to another instance and to another process, and free again after kill -9', async () => {
  const dir = await temporaryDirectory();
  const child = spawn(process.execPath, [new URL('./crash-child.ts', import.meta.url).pathname, dir, '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  await expect(open(dir)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
  child.stdout.resume();
  child.kill('SIGKILL');
  await once(child, 'close');
  const { engine } = await open(dir);
  await expect(open(dir)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
  await engine.close();
  await (await open(dir)).engine.close();
});

test('an ingest that was interrupted anywhere is swept, or complete', async () => {
  const dir = await temporaryDirectory();
  const chunks = Array.from({ length: 5 }, (_, i) => Buffer.concat([batch(i * 4, 3000), batch(i * 4 + 1, 3000)]));
  const options = { base: 0, end: 30, epoch: 3, state: Buffer.from('folded'), uid: 'u1' };
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  const operations = ['create', 'write', 'sync', 'rename', 'syncDirectory'] as const;
  for (const operation of operations)
    for (let after = 0; after < 3; after++) {
      const { fs, plan } = faulty();
      const { engine } = await open(dir, { fs });
      const hits = plan.fail(operation, /segments/, { code: 'EIO', after, times: 1e9 });
      await engine.ingest('cold', options, source()).catch(() => {});
      const crashed = await snapshot(dir);
      const hit = hits() > 0;
      plan.release();
      await engine.close();
      const again = await open(crashed);
      const ids = await again.engine.list({ prefix: '', limit: 10 });
      if (hit) expect(ids).toEqual([]);
      const result = await again.engine.ingest('cold', options, source());
      expect(await again.engine.ingest('cold', options, source())).toEqual(result);
      await expect(again.engine.ingest('cold', { ...options, uid: 'u2' }, source())).rejects.toMatchObject({
        code: 'SEGMENT_EXISTS',
      });
      const reader = await again.engine.openReader('cold');
      expect(await reader.read(2, { maxBytes: 1 })).toEqual({ bytes: batch(4, 3000), next: 5 });
      expect(await reader.read(18, { maxBytes: 1 })).toEqual({ bytes: new Uint8Array(0), next: 30 });
      await again.engine.close();
      await rm(dir, { recursive: true });
    }
});

test('nothing is left running after close', async () => {
  const dir = await temporaryDirectory();
  const kinds = (): string[] =>
    process.getActiveResourcesInfo().filter((kind) => !/^(TTY|Pipe|Immediate|Timeout|FSReq)/.test(kind));
  const before = kinds().sort();
  const fds = readdirSync('/proc/self/fd').length;
  const { engine } = await open(dir);
  await fill(engine, 'a', 10, 100);
  await engine.close();
  await engine.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(kinds().sort()).toEqual(before);
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(fds);
});
