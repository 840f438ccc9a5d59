import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isStorageError } from '@robustmq/core';
import { ClassicLevel } from 'classic-level';
import { batchAt, open, write } from './instance.ts';

// After a failed write LevelDB goes on behind a half-written entry of its log, and drops all that follows at its next start.
describe('a commit that fails', () => {
  for (const applied of [true, false])
    it(`is unknown, and the segment ends where the disk says (${applied ? 'applied' : 'not applied'})`, async (test) => {
      const dir = await mkdtemp(join(tmpdir(), 'level-'));
      test.after(() => rm(dir, { recursive: true }));
      const instance = await open(dir);
      const writer = await write(instance, 'one', 3);

      const { batch } = ClassicLevel.prototype;
      const failing = async function (this: ClassicLevel, ...args: unknown[]): Promise<void> {
        ClassicLevel.prototype.batch = batch;
        if (applied) await Reflect.apply(batch, this, args);
        throw Object.assign(new Error('IO error: No space left on device'), { code: 'LEVEL_IO_ERROR' });
      };
      Object.assign(ClassicLevel.prototype, { batch: failing });
      await assert.rejects(
        writer.append([batchAt(3)], { base: 3 }),
        (error) => isStorageError(error) && error.outcome === 'unknown',
      );

      assert.deepEqual(await instance.engine.recover('one', { epoch: 2 }), { end: applied ? 4 : 3 });
      await write(instance, 'two', 2);
      await instance.close();
      const again = await open(dir);
      assert.deepEqual(await again.engine.recover('one', { epoch: 3 }), { end: applied ? 4 : 3 });
      assert.deepEqual(await again.engine.recover('two', { epoch: 3 }), { end: 2 });
      await again.close();
    });
});
