import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { batch, create, faulty, open, readAll, snapshot, temporaryDirectory } from './harness.ts';

test('what a process acknowledged before it was killed is there, whole and in order, and nothing else in between', async () => {
  const dir = await temporaryDirectory();
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, [new URL('./crash-child.ts', import.meta.url).pathname, dir, `${round}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    let lines = 0;
    const enough = 400 + round * 900;
    child.stdout.on('data', (piece: Buffer) => {
      text += piece;
      lines += piece.toString().split('\n').length - 1;
      if (lines > enough) child.kill('SIGKILL');
    });
    await once(child, 'close');
    for (const line of text.split('\n').slice(0, -1)) {
      const [id = '', offset] = line.split(' ');
      acknowledged.set(id, Math.max(acknowledged.get(id) ?? -1, Number(offset)));
    }
  }
  const { engine } = await open(dir);
  for (const [id, last] of acknowledged) {
    const { end } = await engine.recover(id, { epoch: 2 });
    expect(end).toBeGreaterThan(last);
    expect(await engine.recover(id, { epoch: 2 })).toEqual({ end });
    const expected = Array.from({ length: end }, (_, base) => batch(base, 50 + ((base * 37) % 3000)));
    const reader = await engine.openReader(id);
    expect((await readAll(reader, 0, 100_000)).equals(Buffer.concat(expected))).toBe(true);
    expect(Buffer.from(await reader.state()).toString()).toBe(id);
  }
  expect(acknowledged.size).toBe(24);
  await engine.close();
}, 40_000);

test('a crash at any write of opening and recovering changes nothing about the end', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const writers = [await create(engine, 'a'), await create(engine, 'b', 5)];
  for (let i = 0; i < 40; i++) {
    await writers[0]?.append([batch(i, 500)], { base: i });
    await writers[1]?.append([batch(5 + i, 300)], { base: 5 + i });
  }
  const crashed = await snapshot(dir);
  await engine.close();

  let failing = true;
  for (let step = 0; failing; step += step < 8 ? 1 : 4) {
    const copy = await snapshot(crashed);
    const { fs, plan } = faulty();
    const operations = ['write', 'sync', 'rename', 'syncDirectory', 'create'] as const;
    const hits = operations.map((operation) => plan.fail(operation, /./, { code: 'EIO', after: step, times: 1e9 }));
    let first: Awaited<ReturnType<typeof open>> | undefined;
    try {
      first = await open(copy, { fs });
      await first.engine.recover('a', { epoch: 3 });
      await first.engine.recover('b', { epoch: 3 });
    } catch (error) {
      expect(error).toMatchObject({ name: 'StorageError' });
    }
    const died = await snapshot(copy);
    plan.release();
    await first?.engine.close();
    failing = hits.some((count) => count() > 0);
    const second = await open(died);
    expect(await second.engine.recover('a', { epoch: 4 })).toEqual({ end: 40 });
    expect(await second.engine.recover('b', { epoch: 4 })).toEqual({ end: 45 });
    const expected = Array.from({ length: 40 }, (_, i) => batch(i, 500));
    expect(await readAll(await second.engine.openReader('a'), 0)).toEqual(Buffer.concat(expected));
    await second.engine.close();
    expect(step).toBeLessThan(60);
  }
}, 40_000);

test('a deleted segment stays deleted, and one made again under its name is its own, whenever the crash comes', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const first = await create(engine, 'a');
  await first.append([batch(0)], { base: 0 });
  await first.seal();
  await engine.delete('a');
  await engine.delete('a');
  await expect(engine.openReader('a')).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  const deleted = await snapshot(dir);
  const second = await create(engine, 'a', 100, 7);
  await second.append([batch(100)], { base: 100 });
  const again = await snapshot(dir);
  await engine.close();

  const one = await open(deleted);
  expect(await one.engine.list({ prefix: '', limit: 10 })).toEqual([]);
  await expect(one.engine.recover('a', { epoch: 1 })).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await one.engine.close();
  for (const from of [again, dir]) {
    const two = await open(from);
    expect(await two.engine.recover('a', { epoch: 7 })).toEqual({ end: 101 });
    expect(await readAll(await two.engine.openReader('a'), 100)).toEqual(batch(100));
    await two.engine.close();
  }
});
