import { encodeBatch, type Meta, type Shard, systemClock } from '@robustmq/core';
import { expect, test } from 'vitest';
import { withNode } from './node-fixture.ts';

/** Puts `before` in front of every call of Meta, and counts the calls. */
function behind(before: () => Promise<void>): { readonly wrap: (meta: Meta) => Meta; calls: number } {
  const counting = {
    calls: 0,
    wrap: (meta: Meta): Meta => {
      const held = async <T>(run: () => Promise<T>): Promise<T> => {
        counting.calls++;
        await before();
        return run();
      };
      return {
        get: (key) => held(() => meta.get(key)),
        list: (options) => held(() => meta.list(options)),
        commit: (mutation) => held(() => meta.commit(mutation)),
        commitEach: (mutations) => held(() => meta.commitEach(mutations)),
        watch: (options) => meta.watch(options),
      };
    },
  };
  return counting;
}

const pause = (delayMs: number): Promise<void> => new Promise((resolve) => systemClock.timer(delayMs, resolve));

function batch(i: number): Uint8Array {
  return encodeBatch([{ timestamp: 1, key: null, value: Buffer.from(`${i}:${'x'.repeat(1000)}`) }]);
}

async function readAll(shard: Shard): Promise<number> {
  let at = 0;
  const { committed } = await shard.offsets();
  while (at < committed) at = (await shard.read(at, { maxBytes: 1_000_000 })).next;
  return at;
}

test('produce and fetch go on while Meta does not answer at all', async () => {
  let gate: Promise<void> | undefined;
  let open = (): void => {};
  const meta = behind(() => gate ?? Promise.resolve());
  await withNode({ world: { wrapMeta: meta.wrap } }, async ({ storage }) => {
    const shard = storage.shard(await storage.createTopic('t'), 0);
    await shard.append([batch(0)]);
    gate = new Promise((resolve) => {
      open = resolve;
    });
    try {
      for (let i = 1; i < 1000; i++) await shard.append([batch(i)]);
      expect(await readAll(shard)).toBe(1000);
    } finally {
      gate = undefined;
      open();
    }
  });
});

test('with 200 ms on every call of Meta, appends that roll through many segments keep their order and wait for few of them', async () => {
  const meta = behind(() => pause(200));
  const sets = ['defaults.segment.bytes=200000'];
  await withNode({ sets, world: { wrapMeta: meta.wrap } }, async ({ storage }) => {
    const shard = storage.shard(await storage.createTopic('t'), 0);
    await shard.append([batch(0)]);
    const before = meta.calls;
    const appends = Array.from({ length: 1000 }, async (_, i) => {
      await shard.ready(1100);
      return shard.append([batch(i + 1)]);
    });
    await Promise.all(appends);
    expect(await readAll(shard)).toBe(1001);
    const segments = await shard.segments();
    expect(segments.length).toBeGreaterThan(3);
    // some for each segment, none for a record
    expect(meta.calls - before).toBeLessThan(segments.length * 6 + 20);
  });
});
