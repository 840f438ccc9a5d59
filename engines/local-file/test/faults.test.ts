import { type Clock, systemClock } from '@robustmq/core';
import { expect, test } from 'vitest';
import { batch, create, faulty, open, readAll, snapshot, temporaryDirectory } from './harness.ts';

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test('a failed WAL write fails whoever is in flight, keeps what was acknowledged, and the engine goes on in a new file', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine } = await open(dir, { fs });
  const busy = await create(engine, 'busy');
  const quiet = await create(engine, 'quiet');
  await quiet.append([batch(0)], { base: 0 });
  await busy.append([batch(0)], { base: 0 });
  const failed = plan.fail('write', /\.wal$/, { code: 'EIO' });
  const appends = [1, 2, 3].map((base) => busy.append([batch(base)], { base }));
  for (const append of appends) await expect(append).rejects.toMatchObject({ code: 'IO_ERROR', outcome: 'unknown' });
  expect(failed()).toBe(1);
  await expect(busy.append([batch(1)], { base: 1 })).rejects.toMatchObject({ code: 'WRITER_FAILED' });
  // the other one had nothing on its way, and goes on
  expect(await quiet.append([batch(1)], { base: 1 })).toEqual({ next: 2 });
  expect(await engine.recover('busy', { epoch: 1 })).toEqual({ end: 1 });
  const next = await create(engine, 'next', 1);
  expect(await next.append([batch(1)], { base: 1 })).toEqual({ next: 2 });
  const crashed = await snapshot(dir);
  await engine.close();
  for (const from of [crashed, dir]) {
    const again = await open(from);
    expect(await again.engine.recover('busy', { epoch: 2 })).toEqual({ end: 1 });
    expect(await again.engine.recover('next', { epoch: 2 })).toEqual({ end: 2 });
    expect(await again.engine.recover('quiet', { epoch: 2 })).toEqual({ end: 2 });
    await again.engine.close();
  }
});

test('a failed sync of a segment file fails its writer; recover writes the file again from the log', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine } = await open(dir, { fs, config: { checkpointBytes: 64 * 1024 } });
  const hurt = await create(engine, 'hurt');
  const other = await create(engine, 'other');
  const failed = plan.fail('sync', /hurt\.log$/, { code: 'EIO' });
  let base = 0;
  let failure: unknown;
  while (failure === undefined) {
    await hurt.ready(3000);
    await hurt.append([batch(base, 3000)], { base }).then(
      () => base++,
      (error: unknown) => {
        failure = error;
      },
    );
  }
  expect(failed()).toBe(1);
  expect(failure).toMatchObject({ name: 'StorageError' });
  await other.append([batch(0)], { base: 0 });
  const crashed = await snapshot(dir);
  const { end } = await engine.recover('hurt', { epoch: 1 });
  expect(end).toBeGreaterThanOrEqual(base);
  const expected = Buffer.concat(Array.from({ length: end }, (_, i) => batch(i, 3000)));
  expect((await readAll(await engine.openReader('hurt'), 0, 50_000)).equals(expected)).toBe(true);
  await engine.close();
  const again = await open(crashed);
  expect((await again.engine.recover('hurt', { epoch: 2 })).end).toBeGreaterThanOrEqual(base);
  await again.engine.close();
});

test('a full disk is refused before dispatch, is reported, and heals by itself', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  plan.budget(3 * 1024 * 1024);
  const { engine, health } = await open(dir, { fs, config: { reserveBytes: 1024 * 1024 } });
  const writer = await create(engine, 'a');
  let base = 0;
  let refused: { code?: string; outcome?: string; retryable?: boolean } | undefined;
  while (refused === undefined) {
    await writer.ready(4000);
    await writer.append([batch(base, 3900)], { base }).then(
      () => base++,
      (error: object) => {
        refused = error;
      },
    );
    expect(base).toBeLessThan(5000);
  }
  expect(refused).toMatchObject({ code: 'DISK_FULL', outcome: 'none', retryable: true });
  expect(health.at(-1)?.status).toBe('full');
  await expect(create(engine, 'b')).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect((await readAll(writer, 0, 20_000)).length).toBe(base * 3961);
  plan.budget(undefined);
  await until(() => health.at(-1)?.status === 'ok');
  expect(await writer.append([batch(base, 3900)], { base })).toEqual({ next: base + 1 });
  expect(await writer.seal()).toEqual({ end: base + 1 });
  await engine.close();
});

test('a disk that is fuller than it said loses nothing: appends wait in the log for room, and settle when there is', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine, health } = await open(dir, { fs });
  const writer = await create(engine, 'a');
  await writer.append([batch(0)], { base: 0 });
  // files may not grow at all, and the figures do not show it
  const stuck = plan.fail('write', /\.(wal|log)$/, { code: 'ENOSPC', times: Number.POSITIVE_INFINITY });
  const pending = writer.append([batch(1)], { base: 1 });
  await until(() => stuck() > 0 && health.at(-1)?.status === 'full');
  plan.release();
  expect(await pending).toEqual({ next: 2 });
  await until(() => health.at(-1)?.status === 'ok');
  expect(await writer.append([batch(2)], { base: 2 })).toEqual({ next: 3 });
  await engine.close();
});

test('closing on a full disk settles what waits for room instead of waiting with it', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine, health } = await open(dir, { fs });
  const writer = await create(engine, 'a');
  await writer.append([batch(0)], { base: 0 });
  plan.fail('write', /\.(wal|log)$/, { code: 'ENOSPC', times: Number.POSITIVE_INFINITY });
  const pending = expect(writer.append([batch(1)], { base: 1 })).rejects.toMatchObject({ outcome: 'unknown' });
  await until(() => health.at(-1)?.status === 'full');
  await engine.close();
  await pending;
  plan.release();
  const again = await open(dir, { fs });
  expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 1 });
  await again.engine.close();
});

test('a stalled disk makes writers wait: credit ends, memory does not grow', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine } = await open(dir, { fs });
  const writer = await create(engine, 'a');
  await writer.append([batch(0)], { base: 0 });
  plan.stall('write', /\.wal$/);
  const appends: Promise<unknown>[] = [];
  let base = 1;
  while (writer.ready(10_000) === undefined) {
    appends.push(writer.append([batch(base, 10_000)], { base }));
    base++;
  }
  expect(base).toBeLessThanOrEqual(27);
  const ready = writer.ready(10_000);
  await expect(writer.append([batch(base, 10_000)], { base })).rejects.toMatchObject({
    code: 'BACKPRESSURE',
    outcome: 'none',
  });
  const first = await Promise.race([ready, new Promise((resolve) => setTimeout(resolve, 50, 'still waiting'))]);
  expect(first).toBe('still waiting');
  plan.release();
  await ready;
  await Promise.all(appends);
  expect(await writer.append([batch(base)], { base })).toEqual({ next: base + 1 });
  await engine.close();
});

test('a segment file that cannot be written keeps its data in the log: nothing is recycled, credit ends, and it comes back', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine } = await open(dir, { fs, config: { tailBytes: 256 * 1024 } });
  const writer = await create(engine, 'a');
  plan.stall('write', /a\.log$/);
  let base = 0;
  const appends: Promise<unknown>[] = [];
  for (;;) {
    if (writer.ready(5000) !== undefined) {
      const woken = await Promise.race([
        writer.ready(5000)?.then(() => true),
        new Promise((resolve) => setTimeout(resolve, 300, false)),
      ]);
      if (woken === false) break;
      continue;
    }
    appends.push(writer.append([batch(base, 4900)], { base }));
    base++;
    expect(base).toBeLessThan(1000);
  }
  await Promise.all(appends);
  const crashed = await snapshot(dir);
  plan.release();
  await writer.ready(5000);
  await writer.append([batch(base, 4900)], { base });
  await engine.close();
  const again = await open(crashed);
  expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: base });
  await again.engine.close();
});

test('small files are written in turns under load, and nothing is lost', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const writers = await Promise.all(Array.from({ length: 12 }, (_, i) => create(engine, `s${i}`)));
  const counts = await Promise.all(
    writers.map(async (writer, i) => {
      let base = 0;
      for (; base < 150; base++) {
        for (let wait = writer.ready(6000); wait !== undefined; wait = writer.ready(6000)) await wait;
        await writer.append([batch(base, 5000 + i)], { base });
      }
      return base;
    }),
  );
  const crashed = await snapshot(dir);
  await engine.close();
  for (const from of [crashed, dir]) {
    const again = await open(from);
    for (const [i, count] of counts.entries()) {
      expect(await again.engine.recover(`s${i}`, { epoch: 2 })).toEqual({ end: count });
      const expected = Buffer.concat(Array.from({ length: count }, (_, base) => batch(base, 5000 + i)));
      expect((await readAll(await again.engine.openReader(`s${i}`), 0, 60_000)).equals(expected)).toBe(true);
    }
    await again.engine.close();
  }
});

test('a log that fills up while it is being shortened goes on by itself', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  const { engine } = await open(dir, { fs, config: { walFiles: 3 } });
  const writer = await create(engine, 'a');
  const other = await create(engine, 'b');
  await other.append([batch(0)], { base: 0 });
  // the round that begins now is held while the log fills up to its last file
  const held = plan.stall('rename', /checkpoint$/);
  const appends: Promise<unknown>[] = [];
  let base = 0;
  for (;;) {
    const wait = writer.ready(9000);
    if (wait !== undefined) {
      const quiet = new Promise((resolve) => setTimeout(resolve, 200, 'quiet'));
      if ((await Promise.race([wait, quiet])) === 'quiet') break;
      continue;
    }
    appends.push(writer.append([batch(base, 8900)], { base }));
    base++;
  }
  expect(held()).toBe(1);
  plan.release();
  await Promise.all(appends);
  await writer.ready(9000);
  expect(await writer.append([batch(base)], { base })).toEqual({ next: base + 1 });
  await engine.close();
});

test('checkpoints that a segment file keeps from succeeding are told of by name, and the health is ok when they succeed', async () => {
  const dir = await temporaryDirectory();
  const { fs, plan } = faulty();
  // a second is twenty: a round is tried again each second
  const clock: Clock = Object.assign(Object.create(systemClock), { monotonic: () => systemClock.monotonic() * 20 });
  const { engine, health } = await open(dir, { fs, clock, config: { checkpointBytes: 16 * 1024 } });
  const hurt = await create(engine, 'hurt');
  const other = await create(engine, 'other');
  plan.fail('write', /hurt\.log$/, { code: 'EIO', times: 1e9 });
  await hurt.append([batch(0, 3000)], { base: 0 });
  for (let base = 0; base < 20; base++) await other.append([batch(base, 3000)], { base });
  await until(() => health.length > 0);
  expect(health).toEqual([{ status: 'failed', detail: expect.stringMatching(/hurt\.log: .*(EIO|IO_ERROR|fail)/) }]);
  plan.release();
  await until(() => health.length > 1);
  expect(health[1]).toEqual({ status: 'ok', detail: '' });
  await engine.close();
});
