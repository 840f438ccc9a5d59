import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { batch, create, open, temporaryDirectory } from './harness.ts';

/** Bytes that are still referred to. */
function held(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('ten thousand idle segments hold no files and little memory, and an open engine is quiet', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir, { config: { walFileBytes: 8 << 20, ringBytes: 4 << 20 } });
  const before = held();
  const ids = Array.from({ length: 10_000 }, (_, i) => `idle-${i}`);
  const writers = await Promise.all(ids.map((id) => create(engine, id)));
  await Promise.all(writers.map((writer) => writer.append([batch(0, 60)], { base: 0 })));
  expect(held() - before).toBeLessThan(60 * 1024 * 1024);
  expect(readdirSync('/proc/self/fd').length).toBeLessThan(200);
  expect(writers[9_999]?.offsets().committed).toBe(1);
  await engine.close();
}, 60_000);
