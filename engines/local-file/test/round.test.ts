import { type FileSystem, nodeFileSystem } from '@robustmq/core';
import { expect, test } from 'vitest';
import { batch, create, open, readAll, STATE, temporaryDirectory } from './harness.ts';

test('what was appended is read, before and after the segment is sealed, and after a restart', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const writer = await create(engine, 'a', 10);
  const batches = Array.from({ length: 300 }, (_, i) => batch(10 + i, 200 + (i % 50)));
  const appended = batches.map((one, i) => writer.append([one], { base: 10 + i }));
  expect((await Promise.all(appended)).map(({ next }) => next)).toEqual(batches.map((_, i) => 11 + i));
  const all = Buffer.concat(batches);
  expect(await readAll(writer, 10)).toEqual(all);
  expect(await writer.seal()).toEqual({ end: 310 });
  const reader = await engine.openReader('a');
  expect(await readAll(reader, 10)).toEqual(all);
  expect(Buffer.from(await reader.state())).toEqual(STATE);
  await engine.close();
  const again = await open(dir);
  const reopened = await again.engine.openReader('a');
  expect(reopened.offsets()).toEqual({ base: 10, committed: 310, end: 310, sealed: true });
  expect(await readAll(reopened, 10)).toEqual(all);
  expect(await reopened.offsetForTimestamp(1200)).toBe(200);
  expect(await again.engine.list({ prefix: '', limit: 10 })).toEqual(['a']);
  await again.engine.delete('a');
  await again.engine.close();
});

test('a segment that was open when the engine was closed is recovered to its end', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const writer = await create(engine, 'a');
  await writer.append([batch(0), batch(1)], { base: 0 });
  await engine.close();
  const again = await open(dir);
  await expect(again.engine.openReader('a')).rejects.toMatchObject({ code: 'SEGMENT_NOT_SEALED' });
  expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 2 });
  await expect(again.engine.recover('a', { epoch: 1 })).rejects.toMatchObject({ code: 'FENCED', outcome: 'none' });
  expect(await readAll(await again.engine.openReader('a'), 0)).toEqual(Buffer.concat([batch(0), batch(1)]));
  await again.engine.close();
});

test('a segment that is made again under its name keeps what it gets, though a checkpoint was at its files when the first one was deleted', async () => {
  const dir = await temporaryDirectory();
  let goOn = (): void => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let reach = (): void => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const fs: FileSystem = {
    ...nodeFileSystem,
    rename: async (from, to) => {
      if (to.endsWith('a.footer')) {
        reach();
        await gate;
      }
      await nodeFileSystem.rename(from, to);
    },
  };
  const { engine } = await open(dir, { fs });
  const first = await create(engine, 'a');
  await first.append([batch(0)], { base: 0 });
  await first.seal();
  // as much as makes a round of checkpoints begin
  const other = await create(engine, 'other');
  for (let i = 0; i < 70; i++) await other.append([batch(i, 10_000)], { base: i });
  await reached;
  let deleted = false;
  const deleting = engine.delete('a').then(() => {
    deleted = true;
  });
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(deleted).toBe(false);
  goOn();
  await deleting;
  const second = await create(engine, 'a', 50);
  await second.append([batch(50)], { base: 50 });
  await engine.close();
  const again = await open(dir);
  expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 51 });
  expect(await readAll(await again.engine.openReader('a'), 50)).toEqual(batch(50));
  await again.engine.close();
});
