import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SegmentWriter, StorageEngine } from '@robustmq/core';
import { expect, test } from 'vitest';
import { batch, create, faulty, open, readAll, STATE, snapshot, temporaryDirectory } from './harness.ts';

// Core's wrapper stops most of these before they reach the engine; it promises to say the same by itself.

const none = (code: string) => ({ code, outcome: 'none' });

async function outcome(promise: Promise<unknown> | undefined): Promise<unknown> {
  return await promise?.catch((error: unknown) => error);
}

async function started(config = {}): Promise<{ dir: string; engine: StorageEngine; writer: SegmentWriter }> {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir, { config });
  return { dir, engine, writer: await create(engine, 'a') };
}

const ingestion = { base: 0, end: 3, epoch: 1, state: STATE, uid: 'one' };

async function* chunks(...given: Buffer[]): AsyncGenerator<Uint8Array> {
  yield* given;
}

test('an append at another base, or that was given up, leaves no trace, and one that is given up later goes on', async () => {
  const { engine, writer } = await started();
  expect(await outcome(writer.append([batch(1)], { base: 1 }))).toMatchObject(none('OFFSET_MISMATCH'));
  const given = { base: 0, signal: AbortSignal.abort() };
  expect(await outcome(writer.append([batch(0)], given))).toMatchObject(none('ABORTED'));
  expect(await outcome(writer.read(0, { maxBytes: 1, signal: given.signal }))).toMatchObject({ code: 'ABORTED' });
  const abort = new AbortController();
  const first = outcome(writer.append([batch(0)], { base: 0, signal: abort.signal }));
  abort.abort();
  expect(await first).toMatchObject({ code: 'ABORTED', outcome: 'unknown' });
  const { signal } = new AbortController();
  expect(await writer.append([batch(1)], { base: 1, signal })).toEqual({ next: 2 });
  await writer.flush();
  expect(await readAll(writer, 0)).toEqual(Buffer.concat([batch(0), batch(1)]));
  expect(await writer.read(2, { maxBytes: 100 })).toMatchObject({ next: 2 });
  await engine.close();
});

test('a writer that is sealed, closed, fenced or deleted says which, to appends and to those who wait for credit', async () => {
  const { engine, writer } = await started();
  await writer.append([batch(0)], { base: 0 });
  expect(await writer.seal()).toEqual({ end: 1 });
  expect(await writer.seal()).toEqual({ end: 1 });
  for (const call of [writer.append([batch(1)], { base: 1 }), writer.ready(1)])
    expect(await outcome(call)).toMatchObject(none('SEGMENT_SEALED'));
  const closed = await create(engine, 'b');
  await closed.close();
  for (const call of [closed.append([batch(0)], { base: 0 }), closed.ready(1), closed.seal()])
    expect(await outcome(call)).toMatchObject(none('CLOSED'));
  const fenced = await create(engine, 'c');
  await engine.recover('c', { epoch: 2 });
  for (const call of [fenced.append([batch(0)], { base: 0 }), fenced.ready(1)])
    expect(await outcome(call)).toMatchObject({ code: 'FENCED' });
  // the end is the same, whoever asks
  expect(await outcome(fenced.seal())).toEqual({ end: 0 });
  const deleted = await create(engine, 'd');
  const behind = outcome(deleted.append([batch(0)], { base: 0 }));
  await engine.delete('d');
  // it lies in front of the deletion in the log
  expect(await behind).toEqual({ next: 1 });
  expect(await outcome(deleted.seal())).toMatchObject({ code: 'FENCED' });
  await engine.close();
  expect(await outcome(deleted.append([batch(0)], { base: 0 }))).toMatchObject({ code: 'FENCED' });
});

test('a recovery of a sealed segment remembers the highest epoch, before and after a restart, and refuses a lower one', async () => {
  const { dir, engine, writer } = await started();
  await writer.append([batch(0)], { base: 0 });
  await writer.seal();
  await engine.close();
  const second = (await open(dir)).engine;
  expect(await second.recover('a', { epoch: 5 })).toEqual({ end: 1 });
  expect(await second.recover('a', { epoch: 5 })).toEqual({ end: 1 });
  expect(await outcome(second.recover('a', { epoch: 4 }))).toMatchObject(none('FENCED'));
  const crashed = await snapshot(dir);
  await second.close();
  for (const at of [dir, crashed]) {
    const third = (await open(at)).engine;
    expect(await outcome(third.recover('a', { epoch: 4 }))).toMatchObject(none('FENCED'));
    expect(await third.recover('a', { epoch: 5 })).toEqual({ end: 1 });
    expect(await third.recover('a', { epoch: 6 })).toEqual({ end: 1 });
    expect(await readAll(await third.openReader('a'), 0)).toEqual(batch(0));
    await third.close();
  }
});

test('a segment is ingested once by one uid, in small and large pieces, also when it was recovered meanwhile', async () => {
  const { engine } = await started();
  const pieces = [batch(0, 300 * 1024), batch(1, 10), batch(2, 20)];
  const result = await engine.ingest('i', ingestion, chunks(...pieces));
  expect(result.bytes).toBe(Buffer.concat(pieces).length);
  expect(await engine.ingest('i', ingestion, chunks())).toEqual(result);
  expect(await outcome(engine.ingest('i', { ...ingestion, uid: 'two' }, chunks()))).toMatchObject(
    none('SEGMENT_EXISTS'),
  );
  expect(await engine.recover('i', { epoch: 4 })).toEqual({ end: 3 });
  expect(await engine.ingest('i', ingestion, chunks())).toEqual(result);
  expect(await outcome(engine.ingest('i', { ...ingestion, uid: 'two' }, chunks()))).toMatchObject(
    none('SEGMENT_EXISTS'),
  );
  const reader = await engine.openReader('i');
  expect(await readAll(reader, 0)).toEqual(Buffer.concat(pieces));
  expect(Buffer.from(await reader.state())).toEqual(STATE);
  expect(await outcome(reader.read(0, { maxBytes: 1, signal: AbortSignal.abort() }))).toMatchObject({
    code: 'ABORTED',
  });
  expect(await outcome(engine.ingest('a', ingestion, chunks()))).toMatchObject(none('SEGMENT_EXISTS'));
  await engine.close();
});

test('an ingest of batches out of order, or without room, leaves nothing', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine } = await open(dir, { fs });
  for (const pieces of [[batch(1), batch(0)], [batch(2, 10, 2)]])
    expect(await outcome(engine.ingest('i', ingestion, chunks(...pieces)))).toMatchObject(none('BATCH_INVALID'));
  plan.budget(100_000);
  const large = chunks(batch(0, 300 * 1024));
  expect(await outcome(engine.ingest('i', ingestion, large))).toMatchObject(none('DISK_FULL'));
  plan.budget(undefined);
  expect(readdirSync(join(dir, 'segments'))).toEqual([]);
  expect(await engine.list({ prefix: '', limit: 9 })).toEqual([]);
  await engine.close();
});

test('lists what there is by prefix and by pages, whatever else lies in the directory', async () => {
  const { dir, engine } = await started();
  await create(engine, 'b');
  await engine.ingest('c', ingestion, chunks(batch(0)));
  writeFileSync(join(dir, 'segments', 'notes.txt'), 'x');
  expect(await engine.list({ prefix: '', limit: 9 })).toEqual(['a', 'b', 'c']);
  expect(await engine.list({ prefix: '', after: 'a', limit: 1 })).toEqual(['b']);
  expect(await engine.list({ prefix: 'c', limit: 9 })).toEqual(['c']);
  expect(await engine.list({ prefix: '', after: 'c', limit: 9 })).toEqual([]);
  await engine.delete('nobody');
  await engine.delete('c');
  await engine.delete('c');
  expect(await engine.list({ prefix: '', limit: 9 })).toEqual(['a', 'b']);
  await engine.close();
});

test('what a sealed segment lacks is asked for by name', async () => {
  const { dir, engine, writer } = await started();
  for (let base = 0; base < 40; base++) await writer.append([batch(base, 1000)], { base });
  await writer.seal();
  await engine.close();
  const files = join(dir, 'segments');
  const second = (await open(dir)).engine;
  const reader = await second.openReader('a');
  // gone after it was opened, not before
  await reader.read(0, { maxBytes: 1 });
  truncateSync(join(files, 'a.log'), 5000);
  expect(await outcome(reader.read(20, { maxBytes: 100 }))).toMatchObject({ code: 'CORRUPT' });
  await second.close();
  const third = (await open(dir)).engine;
  renameSync(join(files, 'a.footer'), join(files, 'kept'));
  expect(await outcome(third.openReader('a'))).toMatchObject({ code: 'SEGMENT_LOST' });
  expect(await outcome(third.recover('a', { epoch: 3 }))).toMatchObject({ code: 'SEGMENT_LOST' });
  expect(await outcome(create(third, 'a'))).toMatchObject(none('SEGMENT_EXISTS'));
  expect(await outcome(third.openReader('b'))).toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await third.delete('a');
  expect(readdirSync(files)).toEqual(['kept']);
  await third.close();
});

test('headers that are damaged in a sealed log are told of, whoever meets them', async () => {
  const { dir, engine, writer } = await started();
  for (let base = 0; base < 40; base++) await writer.append([batch(base, 1000)], { base });
  await writer.seal();
  await engine.close();
  const path = join(dir, 'segments', 'a.log');
  const whole = readFileSync(path);
  const size = batch(0, 1000).length;
  for (const length of [-5, 10, 2 ** 30]) {
    const damaged = Buffer.from(whole);
    damaged.writeInt32BE(length, 3 * size + 8);
    writeFileSync(path, damaged);
    const { engine: second } = await open(dir);
    const reader = await second.openReader('a');
    expect(await outcome(reader.read(0, { maxBytes: 10 * size }))).toMatchObject({ code: 'CORRUPT' });
    expect(await outcome(reader.read(3, { maxBytes: 10 }))).toMatchObject({ code: 'CORRUPT' });
    expect(await outcome(reader.offsetForTimestamp(1003))).toMatchObject({ code: 'CORRUPT' });
    await second.close();
  }
});

test('settings that can not work are refused before anything is made', async () => {
  const dir = await temporaryDirectory();
  for (const config of [{ ringBytes: 512 * 1024, walFileBytes: 512 * 1024 }, { ringBytes: 256 * 1024 + 4 }])
    expect(await outcome(open(dir, { config }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(readdirSync(dir)).toEqual([]);
});

test('a directory that can not be looked at is a failure, and not an empty one', async () => {
  const dir = await temporaryDirectory();
  await (await open(dir)).engine.close();
  for (const part of [/wal$/, /segments$/]) {
    const { fs } = faulty();
    const readdir = async (path: string): Promise<string[]> => {
      if (part.test(path)) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return await fs.readdir(path);
    };
    expect(await outcome(open(dir, { fs: { ...fs, readdir } }))).toMatchObject({ code: 'IO_ERROR' });
  }
  const { engine } = await open(dir);
  await engine.close();
});

test('what an ingest that did not end has left is swept, with or without its footer', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  await engine.ingest('whole', ingestion, chunks(batch(0)));
  await engine.close();
  const files = join(dir, 'segments');
  // renamed up to the index; not renamed at all; one beside a whole one
  for (const name of [
    'half.log',
    'half.index',
    'half.footer.tmp',
    'none.log.tmp',
    'none.index.tmp',
    'whole.footer.tmp',
  ])
    writeFileSync(join(files, name), 'x');
  const { engine: second } = await open(dir);
  expect(readdirSync(files).sort()).toEqual(['whole.footer', 'whole.index', 'whole.log']);
  expect(await second.list({ prefix: '', limit: 9 })).toEqual(['whole']);
  expect(await readAll(await second.openReader('whole'), 0)).toEqual(batch(0));
  await second.close();
});

test('a segment that was deleted and made again is the new one after a crash, wherever its files were', async () => {
  const { dir, engine, writer } = await started();
  await writer.append([batch(0)], { base: 0 });
  await writer.seal();
  await engine.close();
  const second = (await open(dir)).engine;
  const before = await snapshot(dir);
  await second.delete('a');
  const again = await create(second, 'a', 7);
  await again.append([batch(7)], { base: 7 });
  const after = await snapshot(dir);
  // as if the files had come back: their removal was not on the disk yet
  for (const name of readdirSync(join(before, 'segments')))
    writeFileSync(join(after, 'segments', name), readFileSync(join(before, 'segments', name)));
  await second.close();
  const third = (await open(after)).engine;
  expect(await third.recover('a', { epoch: 2 })).toEqual({ end: 8 });
  expect(await readAll(await third.openReader('a'), 7)).toEqual(batch(7));
  await third.close();
});

test('a segment that was deleted is gone after a crash, though its files came back', async () => {
  const { dir, engine, writer } = await started();
  await writer.append([batch(0)], { base: 0 });
  await writer.seal();
  await engine.close();
  const second = (await open(dir)).engine;
  const before = await snapshot(dir);
  await second.delete('a');
  const after = await snapshot(dir);
  for (const name of readdirSync(join(before, 'segments')))
    writeFileSync(join(after, 'segments', name), readFileSync(join(before, 'segments', name)));
  await second.close();
  const third = (await open(after)).engine;
  expect(readdirSync(join(after, 'segments'))).toEqual([]);
  expect(await outcome(third.openReader('a'))).toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await third.close();
});

test('a segment that was recovered and deleted is gone after a crash, though its files came back', async () => {
  const { dir, engine, writer } = await started();
  await writer.append([batch(0)], { base: 0 });
  await writer.seal();
  await engine.close();
  const second = (await open(dir)).engine;
  await second.recover('a', { epoch: 5 });
  const before = await snapshot(dir);
  await second.delete('a');
  const after = await snapshot(dir);
  for (const name of readdirSync(join(before, 'segments')))
    writeFileSync(join(after, 'segments', name), readFileSync(join(before, 'segments', name)));
  await second.close();
  const third = (await open(after)).engine;
  expect(readdirSync(join(after, 'segments'))).toEqual([]);
  expect(await outcome(third.openReader('a'))).toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  expect(await third.list({ prefix: '', limit: 9 })).toEqual([]);
  await third.close();
});

test('a head that is damaged, or gone, says so when the state is asked for', async () => {
  const { dir, engine, writer } = await started({ checkpointBytes: 16 * 1024 });
  for (let base = 0; base < 40; base++) await writer.append([batch(base, 1000)], { base });
  await engine.close();
  const head = join(dir, 'segments', 'a.head');
  const second = (await open(dir)).engine;
  await second.recover('a', { epoch: 2 });
  const reader = await second.openReader('a');
  expect(Buffer.from(await reader.state())).toEqual(STATE);
  await second.close();
  rmSync(head, { force: true });
  const third = (await open(dir)).engine;
  expect(Buffer.from(await (await third.openReader('a')).state())).toEqual(STATE);
  await third.close();
});

test('the highest of several epochs that recovered a sealed segment outlives a crash, and the start after that', async () => {
  const { dir, engine, writer } = await started();
  await writer.append([batch(0)], { base: 0 });
  await writer.seal();
  await engine.close();
  const second = (await open(dir)).engine;
  for (const epoch of [5, 6, 8]) expect(await second.recover('a', { epoch })).toEqual({ end: 1 });
  const crashed = await snapshot(dir);
  await second.close();
  for (let round = 0; round < 2; round++) {
    const again = (await open(crashed)).engine;
    expect(await outcome(again.recover('a', { epoch: 7 }))).toMatchObject(none('FENCED'));
    await again.close();
  }
});

test('what the log says of a segment that is gone is not said of the one that has its name', async () => {
  const { dir, engine, writer } = await started();
  await writer.append([batch(0)], { base: 0 });
  await writer.seal();
  await engine.close();
  const second = (await open(dir)).engine;
  await second.recover('a', { epoch: 5 });
  await second.delete('a');
  const gone = await snapshot(dir);
  await second.ingest('a', ingestion, chunks(batch(2)));
  const taken = await snapshot(dir);
  await second.close();
  const third = (await open(gone)).engine;
  expect(await outcome(third.recover('a', { epoch: 9 }))).toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await third.close();
  const fourth = (await open(taken)).engine;
  expect(await fourth.recover('a', { epoch: 2 })).toEqual({ end: 3 });
  expect(await readAll(await fourth.openReader('a'), 0)).toEqual(batch(2));
  await fourth.close();
});

test('a sealing that a crash has cut short leaves the data, and a file without a footer is a matter for a person', async () => {
  const { dir, engine, writer } = await started();
  await writer.append([batch(0)], { base: 0 });
  // what is appended is in its file, and no longer in the log
  await engine.close();
  const files = join(dir, 'segments');
  expect(readdirSync(files)).toContain('a.log');
  for (const name of ['a.footer.tmp', 'lost.log', 'lost.index.tmp', 'notes.txt']) writeFileSync(join(files, name), 'x');
  const second = (await open(dir)).engine;
  expect(readdirSync(files).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect(readdirSync(files)).toEqual(expect.arrayContaining(['a.log', 'lost.log', 'notes.txt']));
  expect(await second.recover('a', { epoch: 2 })).toEqual({ end: 1 });
  expect(await readAll(await second.openReader('a'), 0)).toEqual(batch(0));
  await second.close();
});

test('whatever is left where the checkpoint is gone or damaged tells that there was something', async () => {
  for (const left of ['checkpoint', 'segments', 'wal']) {
    const { dir, engine } = await started();
    await engine.delete('a');
    await engine.close();
    for (const part of ['checkpoint', 'segments', 'wal']) rmSync(join(dir, part), { recursive: true });
    if (left === 'checkpoint') writeFileSync(join(dir, left), 'none');
    else {
      mkdirSync(join(dir, left));
      writeFileSync(join(dir, left, left === 'wal' ? '000000.wal' : 'b.head'), '');
    }
    const again = (await open(dir)).engine;
    expect(await outcome(again.openReader('a')), left).toMatchObject({ code: 'SEGMENT_LOST' });
    await again.close();
  }
  const { engine } = await open(await temporaryDirectory());
  expect(await outcome(engine.openReader('a'))).toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await engine.close();
});
