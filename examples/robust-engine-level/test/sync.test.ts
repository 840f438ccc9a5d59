import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { batchAt, open, write } from './instance.ts';

// kill -9 does not show it: the kernel keeps what was never synced
it('syncs each commit', async (test) => {
  const dir = await mkdtemp(join(tmpdir(), 'level-'));
  test.after(() => rm(dir, { recursive: true }));
  const { batch } = ClassicLevel.prototype;
  const synced: unknown[] = [];
  const watched = function (this: ClassicLevel, operations: unknown, options?: { readonly sync?: boolean }): unknown {
    synced.push(options?.sync);
    return Reflect.apply(batch, this, [operations, options]);
  };
  Object.assign(ClassicLevel.prototype, { batch: watched });
  test.after(() => Object.assign(ClassicLevel.prototype, { batch }));

  const instance = await open(dir);
  const writer = await write(instance, 'one', 2);
  await writer.seal();
  await instance.engine.recover('one', { epoch: 2 });
  const copy = { base: 0, end: 1, epoch: 1, state: new Uint8Array(0), uid: 'attempt' };
  await instance.engine.ingest('two', copy, only(batchAt(0)));
  await instance.engine.delete('one');
  await instance.close();
  // the medium, create, 2 appends, seal, recover; of a copy its begin, its batches, its publication; delete
  assert.deepEqual(synced, Array(10).fill(true));
});

async function* only(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk;
}
