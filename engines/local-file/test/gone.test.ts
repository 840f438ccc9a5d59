import { readdirSync, readFileSync, rmSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileSystem, nodeFileSystem } from '@robustmq/core';
import { expect, test } from 'vitest';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../src/checkpoint.ts';
import { batch, create, faulty, open, readAll, STATE, snapshot, temporaryDirectory } from './harness.ts';

async function outcome(promise: Promise<unknown> | undefined): Promise<unknown> {
  return await promise?.catch((error: unknown) => error);
}

async function* chunks(...given: Buffer[]): AsyncGenerator<Uint8Array> {
  yield* given;
}

const ingestion = { base: 0, end: 3, epoch: 1, state: STATE, uid: 'one' };

/** A directory that was closed well, with one segment of `count` records. */
async function closed(count: number, sealed: boolean): Promise<string> {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const writer = await create(engine, 'a');
  for (let base = 0; base < count; base++) await writer.append([batch(base, 1000)], { base });
  if (sealed) await writer.seal();
  await engine.close();
  return dir;
}

function dying(dieAt: number): FileSystem {
  const module = new URL('./dying-disk.ts', import.meta.url).href;
  return { ...nodeFileSystem, worker: { module, options: { under: nodeFileSystem.worker, dieAt } } };
}

test('a thread of the log that ends takes all that is in flight with it, and says so to all that comes after', async () => {
  const dir = await temporaryDirectory();
  // zeros, the creation of each, and then the append
  const { engine, health } = await open(dir, { fs: dying(4), config: { markIdleMs: 600_000 } });
  const [a, b] = [await create(engine, 'a'), await create(engine, 'b')];
  expect(await outcome(a.append([batch(0)], { base: 0 }))).toMatchObject({ code: 'IO_ERROR', outcome: 'unknown' });
  expect(health.at(-1)).toMatchObject({ status: 'failed' });
  const failed = { code: 'WRITER_FAILED', outcome: 'none' };
  for (const call of [a.append([batch(0)], { base: 0 }), b.append([batch(0)], { base: 0 }), b.ready(1), b.seal()])
    expect(await outcome(call)).toMatchObject(failed);
  expect(await outcome(create(engine, 'c'))).toMatchObject({ code: 'IO_ERROR' });
  expect(await outcome(engine.recover('b', { epoch: 2 }))).toMatchObject({ code: 'IO_ERROR' });
  await outcome(engine.close());
  const again = await open(dir);
  expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 0 });
  expect(await again.engine.recover('b', { epoch: 2 })).toEqual({ end: 0 });
  await again.engine.close();
});

test('a thread of the log that never begins is told of', async () => {
  const { engine, health } = await open(await temporaryDirectory(), { fs: dying(0) });
  expect(await outcome(create(engine, 'a'))).toMatchObject({ code: 'IO_ERROR' });
  expect(health.at(-1)).toMatchObject({ status: 'failed' });
  await outcome(engine.close());
});

test('an open segment whose file is gone is lost, and one whose file was cut is damaged', async () => {
  for (const [how, code] of [
    ['gone', 'SEGMENT_LOST'],
    ['cut', 'CORRUPT'],
  ] as const) {
    const dir = await closed(20, false);
    const log = join(dir, 'segments', 'a.log');
    if (how === 'gone') unlinkSync(log);
    else truncateSync(log, statSync(log).size - 1);
    const { engine } = await open(dir);
    expect(await outcome(engine.recover('a', { epoch: 2 }))).toMatchObject({ code });
    expect(await outcome(engine.recover('a', { epoch: 2 }))).toMatchObject({ code });
    await engine.close();
  }
});

test('a log that goes while it is read is lost, one that can not be read is a failure, one that was deleted is unknown', async () => {
  const dir = await closed(20, true);
  const log = join(dir, 'segments', 'a.log');
  const { fs, plan } = faulty();
  const { engine } = await open(dir, { fs });
  const reader = await engine.openReader('a');
  plan.fail('open', /a\.log$/, { code: 'EIO' });
  expect(await outcome(reader.read(0, { maxBytes: 1 }))).toMatchObject({ code: 'EIO' });
  const bytes = readFileSync(log);
  unlinkSync(log);
  expect(await outcome(reader.read(0, { maxBytes: 1 }))).toMatchObject({ code: 'SEGMENT_LOST' });
  writeFileSync(log, bytes);
  expect(await readAll(reader, 0, 100_000)).toEqual(bytes);
  // the log still knows of it: its deletion is heard of by those who read
  await engine.recover('a', { epoch: 2 });
  const second = await engine.openReader('a');
  await engine.delete('a');
  expect(await outcome(second.read(0, { maxBytes: 1 }))).toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await engine.close();
});

test('a log whose last batch says that it is shorter than it is is damaged', async () => {
  const dir = await closed(20, true);
  const log = join(dir, 'segments', 'a.log');
  const bytes = readFileSync(log);
  const size = bytes.length / 20;
  bytes.writeInt32BE(size - 12 - 30, 19 * size + 8);
  bytes.writeBigInt64BE(-5n, 19 * size + 35); // no timestamp to find there
  writeFileSync(log, bytes);
  const { engine } = await open(dir);
  const reader = await engine.openReader('a');
  expect(await outcome(reader.offsetForTimestamp(1019))).toMatchObject({ code: 'CORRUPT' });
  await engine.close();
});

test('a footer that is damaged after the segment was opened is told of when the state is asked for', async () => {
  const dir = await closed(2, true);
  const { engine } = await open(dir);
  const reader = await engine.openReader('a');
  const footer = join(dir, 'segments', 'a.footer');
  const bytes = readFileSync(footer);
  bytes[40] = (bytes[40] ?? 0) ^ 1;
  writeFileSync(footer, bytes);
  expect(await outcome(reader.state())).toMatchObject({ code: 'CORRUPT' });
  rmSync(footer);
  expect(await outcome(reader.state())).toMatchObject({ code: 'SEGMENT_LOST' });
  await engine.close();
});

test('an ingested segment without a batch is a hole that reaches its end', async () => {
  const { engine } = await open(await temporaryDirectory());
  expect(await engine.ingest('a', ingestion, chunks())).toEqual({ bytes: 0, crc: 0 });
  const reader = await engine.openReader('a');
  for (const from of [0, 2])
    expect(await reader.read(from, { maxBytes: 10 })).toMatchObject({ next: 3, bytes: { length: 0 } });
  expect(await reader.offsetForTimestamp(-1)).toBeUndefined();
  await engine.close();
});

test('a segment that was ingested under the name of a deleted one outlives the deletion in the log', async () => {
  const dir = await closed(3, true);
  const { engine } = await open(dir);
  await engine.delete('a');
  const bytes = batch(1, 50);
  await engine.ingest('a', ingestion, chunks(bytes));
  const crashed = await snapshot(dir);
  await engine.close();
  const again = (await open(crashed)).engine;
  expect(await readAll(await again.openReader('a'), 0)).toEqual(bytes);
  await again.close();
});

test('an ingest asks for room piece by piece, and is refused at once while there is none', async () => {
  const dir = await temporaryDirectory();
  const fs: FileSystem = { ...nodeFileSystem, freeBytes: async () => 400 * 1024 };
  const { engine, health } = await open(dir, { fs });
  const full = { code: 'DISK_FULL', outcome: 'none' };
  expect(await outcome(engine.ingest('a', ingestion, chunks(batch(0, 300 * 1024))))).toMatchObject(full);
  expect(health.at(-1)).toMatchObject({ status: 'full' });
  expect(await outcome(engine.ingest('a', ingestion, chunks()))).toMatchObject(full);
  expect(await outcome(create(engine, 'b'))).toMatchObject(full);
  expect(readdirSync(join(dir, 'segments'))).toEqual([]);
  await engine.close();
});

test('a checkpoint that does not name the files of the log lets no part of it be forgotten either', async () => {
  const crashed = async (): Promise<{ dir: string; edit: (change: (old: Checkpoint) => Checkpoint) => void }> => {
    const dir = await temporaryDirectory();
    const { engine } = await open(dir, { config: { checkpointBytes: 64 << 20, walFiles: 8 } });
    const writer = await create(engine, 'a');
    for (let base = 0; base < 100; base++) await writer.append([batch(base, 20_000)], { base });
    const copy = await snapshot(dir);
    await engine.close();
    const path = join(copy, 'checkpoint');
    const edit = (change: (old: Checkpoint) => Checkpoint): void => {
      const found = decodeCheckpoint(readFileSync(path), path);
      if (found === undefined) throw new Error('no checkpoint');
      const { logFiles: _, ...unnamed } = change(found);
      writeFileSync(path, encodeCheckpoint(unnamed));
    };
    return { dir: copy, edit };
  };
  const whole = await crashed();
  whole.edit((old) => old);
  const { engine } = await open(whole.dir);
  expect(await engine.recover('a', { epoch: 2 })).toEqual({ end: 100 });
  await engine.close();
  const middle = await crashed();
  middle.edit((old) => old);
  unlinkSync(join(middle.dir, 'wal', '000002.wal'));
  expect(await outcome(open(middle.dir))).toMatchObject({
    code: 'CORRUPT',
    message: expect.stringContaining('sequences'),
  });
  const first = await crashed();
  first.edit((old) => ({ ...old, place: { position: 100, sequence: 1, offset: 4096 } }));
  unlinkSync(join(first.dir, 'wal', '000000.wal'));
  expect(await outcome(open(first.dir))).toMatchObject({
    code: 'CORRUPT',
    message: expect.stringContaining('sequence 1'),
  });
});

test('credit that comes after the segment was taken over is none', async () => {
  const { fs, plan } = faulty();
  const { engine } = await open(await temporaryDirectory(), { fs, config: { markIdleMs: 600_000 } });
  const writer = await create(engine, 'a');
  plan.stall('write', /\.wal$/);
  const appends: Promise<unknown>[] = [];
  let credit = writer.ready(60_000);
  for (let base = 0; credit === undefined; base++, credit = writer.ready(60_000))
    appends.push(outcome(writer.append([batch(base, 59_939)], { base })));
  const waiting = outcome(credit);
  const recovered = engine.recover('a', { epoch: 2 });
  await new Promise((resolve) => setImmediate(resolve));
  plan.release();
  expect(await waiting).toMatchObject({ code: 'FENCED' });
  await Promise.all(appends);
  expect((await recovered).end).toBeGreaterThanOrEqual(0);
  await engine.close();
});
