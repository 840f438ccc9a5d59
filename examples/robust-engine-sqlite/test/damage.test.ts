import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { isStorageError } from '@robustmq/core';
import { directory, open, written } from './world.ts';

// The suite can spoil what goes through ctx.fs only. What SQLite does not notice by itself is shown here.
describe('segments.db', () => {
  it('is lost in no part when the process is gone: all is in the write-ahead log', async (t) => {
    const place = await written(t, 3);
    assert.equal(await recovered(place), 3);
  });

  it('cuts a torn tail of the write-ahead log', async (t) => {
    const place = await written(t, 3);
    const log = join(place, 'segments.db-wal');
    await writeFile(log, Buffer.concat([await readFile(log), Buffer.alloc(5000, 7)]));
    assert.equal(await recovered(place), 3);
  });

  it('says CORRUPT of a damaged write-ahead log, which SQLite would cut in silence', async (t) => {
    const place = await written(t, 3);
    const log = join(place, 'segments.db-wal');
    const bytes = await readFile(log);
    bytes[bytes.length - 6000] = (bytes[bytes.length - 6000] ?? 0) ^ 1;
    await writeFile(log, bytes);
    await assert.rejects(recovered(place), (error) => isStorageError(error, 'CORRUPT'));
  });

  it('says CORRUPT when the write-ahead log is gone', async (t) => {
    const place = await written(t, 3);
    await rm(join(place, 'segments.db-wal'));
    await assert.rejects(recovered(place), (error) => isStorageError(error, 'CORRUPT'));
  });

  for (const [what, statement] of [
    ['a batch is missing in the middle', 'DELETE FROM batches WHERE next = 2'],
    ['the last batch is missing', 'DELETE FROM batches WHERE next = 3'],
    ['the end of a segment was changed', 'UPDATE segments SET "end" = 2, last = 2'],
  ] as const)
    it(`says CORRUPT when ${what}`, async (t) => {
      const place = await written(t, 3);
      const db = new DatabaseSync(join(place, 'segments.db'));
      db.exec(statement);
      db.close();
      await assert.rejects(readAll(place), (error) => isStorageError(error, 'CORRUPT'));
    });

  it('leaves the database of another program alone', async (t) => {
    const place = await directory(t);
    const db = new DatabaseSync(join(place, 'segments.db'));
    db.exec('CREATE TABLE theirs (x)');
    db.close();
    await assert.rejects(open(place), /the database of something else/);
  });
});

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
