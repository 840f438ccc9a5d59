import { expect, test } from 'vitest';
import { batch, create, open, temporaryDirectory } from './harness.ts';

test('every append settles, in order, however the threads run', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const writer = await create(engine, 'a');
  const bytes = 300;
  const settled: number[] = [];
  let base = 0;
  for (let round = 0; round < 300; round++) {
    const count = 1 + ((round * 7) % 40);
    const appends: Promise<unknown>[] = [];
    for (let one = 0; one < count; one++, base++) {
      const at = base;
      await writer.ready(bytes);
      appends.push(writer.append([batch(at, bytes - 100)], { base: at }).then(() => settled.push(at)));
    }
    // the main thread is away while the other one writes, looks around and falls asleep; now long, now not at all
    if (round % 3 === 0) for (const until = performance.now() + (round % 7) / 2; performance.now() < until; );
    if (round % 2 === 0) await Promise.all(appends);
    else if (round % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await writer.flush();
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toEqual(Array.from({ length: base }, (_, at) => at));
  await engine.close();
});

test('the event loop has its turn while thousands of appends settle', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir, { config: { ringBytes: 4 * 1024 * 1024, walFileBytes: 8 * 1024 * 1024 } });
  const writer = await create(engine, 'a');
  const settled: number[] = [];
  const appends = Array.from({ length: 5000 }, (_, at) =>
    writer.append([batch(at, 100)], { base: at }).then(() => settled.push(at)),
  );
  let most = 0;
  for (let before = 0; settled.length < appends.length; before = settled.length) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, settled.length - before);
  }
  await Promise.all(appends);
  expect(most).toBeLessThanOrEqual(1024);
  expect(settled).toEqual(Array.from({ length: 5000 }, (_, at) => at));
  await engine.close();
});

test('an append that is overtaken by a close is acknowledged or in doubt, never said to be none', async () => {
  for (let round = 0; round < 4; round++) {
    const dir = await temporaryDirectory();
    const { engine } = await open(dir);
    const writer = await create(engine, 'a');
    const settled = writer.append([batch(0, 5000)], { base: 0 }).then(
      () => 'acknowledged',
      (error: { outcome?: string }) => error.outcome,
    );
    for (let turn = 0; turn < 3 * round; turn++) await new Promise((resolve) => setImmediate(resolve));
    await engine.close();
    expect(['acknowledged', 'unknown']).toContain(await settled);
  }
});
