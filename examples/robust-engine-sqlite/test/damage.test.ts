import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { settingsOf } from '@robustmq/conformance';
import {
  encodeBatch,
  isStorageError,
  nodeFileSystem,
  type OpenEngineInstance,
  openInstance,
  patchOffsetAndEpoch,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import engine from '../src/index.ts';

// The suite can spoil what goes through ctx.fs only. What SQLite does not notice by itself is shown here.
describe('segments.db', () => {
  it('is lost in no part when the process is gone: all is in the write-ahead log', async () => {
    await using place = await written(3);
    assert.equal(await recovered(place.dir), 3);
  });

  it('cuts a torn tail of the write-ahead log', async () => {
    await using place = await written(3);
    const log = join(place.dir, 'segments.db-wal');
    await writeFile(log, Buffer.concat([await readFile(log), Buffer.alloc(5000, 7)]));
    assert.equal(await recovered(place.dir), 3);
  });

  it('says CORRUPT of a damaged write-ahead log, which SQLite would cut in silence', async () => {
    await using place = await written(3);
    const log = join(place.dir, 'segments.db-wal');
    const bytes = await readFile(log);
    bytes[bytes.length - 6000] = (bytes[bytes.length - 6000] ?? 0) ^ 1;
    await writeFile(log, bytes);
    await assert.rejects(recovered(place.dir), (error) => isStorageError(error, 'CORRUPT'));
  });

  it('says CORRUPT when the write-ahead log is gone', async () => {
    await using place = await written(3);
    await rm(join(place.dir, 'segments.db-wal'));
    await assert.rejects(recovered(place.dir), (error) => isStorageError(error, 'CORRUPT'));
  });

  for (const [what, statement] of [
    ['a batch is missing in the middle', 'DELETE FROM batches WHERE next = 2'],
    ['the last batch is missing', 'DELETE FROM batches WHERE next = 3'],
    ['the end of a segment was changed', 'UPDATE segments SET "end" = 2, last = 2'],
  ] as const)
    it(`says CORRUPT when ${what}`, async () => {
      await using place = await written(3);
      using db = new DatabaseSync(join(place.dir, 'segments.db'));
      db.exec(statement);
      await assert.rejects(readAll(place.dir), (error) => isStorageError(error, 'CORRUPT'));
    });

  it('leaves the database of another program alone', async () => {
    await using place = await directory();
    using db = new DatabaseSync(join(place.dir, 'segments.db'));
    db.exec('CREATE TABLE theirs (x)');
    await assert.rejects(open(place.dir), /the database of something else/);
  });
});

async function directory(): Promise<{ dir: string } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), 'sqlite-'));
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

/** The files as they are while the engine runs: what a killed process leaves. */
async function written(count: number): Promise<{ dir: string } & AsyncDisposable> {
  await using place = await directory();
  const copy = await directory();
  const instance = await open(place.dir);
  try {
    const writer = await instance.engine.create('s', { base: 0, epoch: 1, config: {}, state: new Uint8Array(0) });
    for (let base = 0; base < count; base++) {
      const batch = encodeBatch([{ timestamp: 0, key: null, value: Buffer.alloc(500, 'x'), headers: [] }]);
      patchOffsetAndEpoch(batch, base, 1);
      await writer.append([batch], { base });
    }
    const proof = join(place.dir, 'segments.proof');
    const unproven = await readFile(proof);
    while ((await readFile(proof)).equals(unproven)) await sleep(5);
    for (const name of ['segments.db', 'segments.db-wal', 'segments.proof'])
      await cp(join(place.dir, name), join(copy.dir, name));
    return copy;
  } finally {
    await instance.close();
  }
}

function open(dir: string): Promise<OpenEngineInstance> {
  return openInstance(engine, {
    instance: 'test',
    dir,
    config: settingsOf(engine),
    fs: nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: new MemoryMeta(),
    signal: new AbortController().signal,
  });
}

async function recovered(dir: string): Promise<number> {
  const instance = await open(dir);
  try {
    return (await instance.engine.recover('s', { epoch: 2 })).end;
  } finally {
    await instance.close();
  }
}

async function readAll(dir: string): Promise<void> {
  const instance = await open(dir);
  try {
    const { end } = await instance.engine.recover('s', { epoch: 2 });
    const reader = await instance.engine.openReader('s');
    for (let next = 0; next < end; ) ({ next } = await reader.read(next, { maxBytes: 100 }));
  } finally {
    await instance.close();
  }
}
