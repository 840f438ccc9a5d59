import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { isStorageError } from '@robustmq/core';
import { open, write } from './instance.ts';

const BATCHES = 60;
const CUT_AT = 40;

// LevelDB does its own I/O, so the suite can not spoil it: what it makes of damaged files is looked at here.
describe('damage', () => {
  let whole: string;
  let bytes: Buffer;

  before(async () => {
    whole = await mkdtemp(join(tmpdir(), 'level-'));
    const instance = await open(whole);
    const writer = await write(instance, 'sealed', BATCHES);
    await writer.seal();
    await write(instance, 'open', CUT_AT);
    await instance.close();
    bytes = Buffer.from(await everything(whole));
  });

  after(() => rm(whole, { recursive: true }));

  it('cuts a torn tail that nothing proves, and keeps all before it', async (test) => {
    const dir = await copyOf(test, whole);
    await rm(join(dir, 'proof'));
    await tear(dir);
    const left = Buffer.from(await everything(dir, 'sealed'));
    assert.ok(left.equals(Buffer.from(await everything(await copyOf(test, whole), 'sealed'))));
  });

  it('says CORRUPT when what is torn had been proven', async (test) => {
    const dir = await copyOf(test, whole);
    await tear(dir);
    await assert.rejects(everything(dir), (error) => isStorageError(error, 'CORRUPT'));
  });

  it('says CORRUPT again at the next start', async (test) => {
    const dir = await copyOf(test, whole);
    const log = await logOf(dir);
    await flip(log, Math.floor((await stat(log)).size / 2));
    for (let i = 0; i < 2; i++) await assert.rejects(everything(dir), (error) => isStorageError(error, 'CORRUPT'));
  });

  it('does not begin anew in a directory whose database is gone', async (test) => {
    const dir = await copyOf(test, whole);
    await rm(join(dir, 'db'), { recursive: true });
    await assert.rejects(everything(dir));
    await assert.rejects(everything(dir));
  });

  it('notices a flipped bit in any file, or shows the right bytes', async (test) => {
    // once opened again: the log has become a table, and there is a new log
    const tabled = await copyOf(test, whole);
    await (await open(tabled)).close();
    let [noticed, harmless] = [0, 0];
    for (const from of [whole, tabled])
      for (const file of await readdir(join(from, 'db'))) {
        const { size } = await stat(join(from, 'db', file));
        if (file === 'LOCK' || file.startsWith('LOG')) continue;
        for (let at = 0; at < size; at += Math.max(1, Math.floor(size / 16))) {
          const dir = await copyOf(test, from);
          await flip(join(dir, 'db', file), at);
          try {
            assert.ok(bytes.equals(Buffer.from(await everything(dir))), `${file}: other bytes after a flip at ${at}`);
            harmless++;
          } catch (error) {
            if (!isStorageError(error)) throw error;
            noticed++;
          }
          await rm(dir, { recursive: true });
        }
      }
    test.diagnostic(`${noticed} noticed, ${harmless} harmless`);
    assert.ok(noticed > 0);
  });
});

async function copyOf(test: TestContext, dir: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'level-'));
  test.after(() => rm(copy, { recursive: true, force: true }));
  await cp(dir, copy, { recursive: true });
  return copy;
}

async function flip(file: string, at: number): Promise<void> {
  const content = await readFile(file);
  content[at] = (content[at] ?? 0) ^ 16;
  await writeFile(file, content);
}

/** As a crash in the middle of the last write leaves it. */
async function tear(dir: string): Promise<void> {
  const log = await logOf(dir);
  const content = await readFile(log);
  await writeFile(log, content.subarray(0, content.length - 7));
}

async function logOf(dir: string): Promise<string> {
  const names = await readdir(join(dir, 'db'));
  return join(dir, 'db', names.find((name) => name.endsWith('.log')) ?? '');
}

/** All that can be asked for, as bytes to compare. */
async function everything(dir: string, ...ids: readonly string[]): Promise<Uint8Array> {
  const instance = await open(dir);
  try {
    const found: Uint8Array[] = [Buffer.from((await instance.engine.list({ prefix: '', limit: 10 })).join())];
    for (const id of ids.length > 0 ? ids : ['sealed', 'open']) {
      const { end } = await instance.engine.recover(id, { epoch: 2 });
      const reader = await instance.engine.openReader(id);
      found.push(await reader.state());
      for (const time of [-1, 5, 200, 10_000]) found.push(Buffer.from(` ${await reader.offsetForTimestamp(time)}`));
      for (let from = 0; from < end; ) {
        const { bytes, next } = await reader.read(from, { maxBytes: 4096 });
        found.push(bytes);
        from = next;
      }
      await reader.close();
    }
    return Buffer.concat(found);
  } finally {
    await instance.close();
  }
}
