import { type Codec, compact, encodeBatch, mapKeys, patchOffsetAndEpoch } from '@robustmq/core';
import { expect, it } from 'vitest';
import { Pace } from '../../src/compaction/pace.ts';

const BATCHES = 20;

/** One chunk of batches that each lose a record to the next. */
async function* chunkOf(codec: Codec): AsyncGenerator<Uint8Array> {
  const batches = Array.from({ length: BATCHES }, (_, i) => {
    const records = ['a', `${i}`].map((key) => ({ timestamp: 1, key: Buffer.from(key), value: Buffer.from('v') }));
    const batch = encodeBatch(records, { codec });
    patchOffsetAndEpoch(batch, 2 * i, 1);
    return batch;
  });
  yield Buffer.concat(batches);
}

/** Turns of the event loop while `run` is at work. */
async function turnsDuring(run: () => Promise<void>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const count = () => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await run();
  isDone = true;
  return turns;
}

async function pass(codec: Codec, pace?: Pace): Promise<void> {
  const paced = pace === undefined ? {} : { pace };
  const keys = await mapKeys(chunkOf(codec), { from: 0, maxKeys: 1000, ...paced });
  const { batches, stats } = compact(chunkOf(codec), { keys, nowMs: 1, deleteRetentionMs: 1, ...paced });
  for await (const chunk of batches) expect(chunk.length).toBeGreaterThan(0);
  expect(stats.recordsDropped).toBe(BATCHES - 1);
}

it('a pass gives way to the event loop between batches when its time is up', async () => {
  let now = 0;
  const tick = { monotonic: () => (now += 20) };
  expect(await turnsDuring(() => pass('none', new Pace(tick)))).toBeGreaterThanOrEqual(2 * BATCHES - 2);
  expect(await turnsDuring(() => pass('none', new Pace({ monotonic: () => 0 })))).toBeLessThan(5);
});

it.each(['gzip', 'zstd'] as const)('%s is unpacked and packed beside the event loop', async (codec) => {
  expect(await turnsDuring(() => pass(codec))).toBeGreaterThan(BATCHES);
});
