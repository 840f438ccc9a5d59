import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
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

// What is special about this engine's file. Put tests of your own beside these; the suite looks at every promise of the contract.
describe('segments.log', () => {
  it('cuts a torn tail at the last whole frame', async (test) => {
    const place = await directory(test);
    await write(place.file, 3);
    await writeFile(
      place.file,
      Buffer.concat([await readFile(place.file), Buffer.from('rEng and then the power went')]),
    );
    assert.equal(await recovered(place.dir), 3);
  });

  it('says CORRUPT of damage that a later frame proves, and cuts nothing', async (test) => {
    const place = await directory(test);
    await write(place.file, 3);
    const bytes = await readFile(place.file);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    await writeFile(place.file, bytes);
    await assert.rejects(recovered(place.dir), (error) => isStorageError(error, 'CORRUPT'));
    assert.equal((await readFile(place.file)).length, bytes.length);
  });
});

async function directory(test: TestContext): Promise<{ dir: string; file: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'my-engine-'));
  test.after(() => rm(dir, { recursive: true }));
  return { dir, file: join(dir, 'segments.log') };
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

async function write(file: string, count: number): Promise<void> {
  const instance = await open(join(file, '..'));
  const writer = await instance.engine.create('s', { base: 0, epoch: 1, config: {}, state: new Uint8Array(0) });
  for (let base = 0; base < count; base++) {
    const batch = encodeBatch([{ timestamp: 0, key: null, value: Buffer.alloc(500, 'x'), headers: [] }]);
    patchOffsetAndEpoch(batch, base, 1);
    await writer.append([batch], { base });
  }
  await instance.close();
}

async function recovered(dir: string): Promise<number> {
  const instance = await open(dir);
  try {
    return (await instance.engine.recover('s', { epoch: 2 })).end;
  } finally {
    await instance.close();
  }
}
