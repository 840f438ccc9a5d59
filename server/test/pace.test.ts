import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Clock, encodeBatch, type Meta, systemClock, type Timer } from '@robustmq/core';
import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { portOf, withNode } from './node-fixture.ts';

/** Every call takes 200 ms, and is counted. */
class FarMeta implements Meta {
  readonly #inner: Meta;
  calls = 0;

  constructor(inner: Meta) {
    this.#inner = inner;
  }

  async #far<T>(call: () => Promise<T>): Promise<T> {
    this.calls++;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return call();
  }

  get(key: string) {
    return this.#far(() => this.#inner.get(key));
  }

  list(options: Parameters<Meta['list']>[0]) {
    return this.#far(() => this.#inner.list(options));
  }

  commit(mutation: Parameters<Meta['commit']>[0]) {
    return this.#far(() => this.#inner.commit(mutation));
  }

  commitEach(mutations: Parameters<Meta['commitEach']>[0]) {
    return this.#far(() => this.#inner.commitEach(mutations));
  }

  watch(options: Parameters<Meta['watch']>[0]) {
    return this.#inner.watch(options);
  }
}

/** The real clock, which knows how many of its timers are armed. */
function countingClock(): Clock & { readonly armed: () => number } {
  let armed = 0;
  return {
    ...systemClock,
    armed: () => armed,
    timer: (delayMs, run): Timer => {
      armed++;
      let done = false;
      const end = () => {
        if (!done) armed--;
        done = true;
      };
      const timer = systemClock.timer(delayMs, () => {
        end();
        run();
      });
      return {
        cancel: () => {
          end();
          timer.cancel();
        },
      };
    },
  };
}

describe('A node whose Meta is 200 ms away', () => {
  it('produces and fetches without asking Meta, whatever the number of records', async () => {
    let meta: FarMeta | undefined;
    const wrapMeta = (inner: Meta): Meta => {
      meta = new FarMeta(inner);
      return meta;
    };
    // housekeeping asks Meta, too, at its own pace: it must not be counted
    const sets = ['storage.maintenanceIntervalMs=1h', 'defaults.segment.bytes=64MiB'];
    await withNode({ sets, world: { wrapMeta } }, async (node) => {
      const kafka = new Kafka({ brokers: [`127.0.0.1:${portOf(node, 'kafka')}`], logLevel: logLevel.NOTHING });
      const producer = kafka.producer();
      await producer.connect();
      await producer.send({ topic: 't', messages: [{ value: 'opens the shard' }] });
      const topic = node.storage.topic('t');
      if (topic === undefined) throw new Error('the topic was not created');
      const shard = node.storage.shard(topic, 0);
      // the commit that the segment is open is still on its way
      await expect.poll(async () => (await shard.segments()).length).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const before = meta?.calls;
      let at = 1;
      for (let i = 0; i < 500; i++) {
        const reading = shard.read(at, { maxBytes: 1_000_000, maxWaitMs: 10_000 });
        await producer.send({ topic: 't', messages: [{ value: `${i}` }] });
        at = (await reading).next;
      }
      expect(at).toBe(501);
      expect(meta?.calls).toBe(before);
      await producer.disconnect();
    });
  });
});

describe('10,000 idle shards on local-file', () => {
  it('hold no timer and less than 100 MB, and answer at once', async () => {
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void; // what the flag has just put there
    const clock = countingClock();
    await withNode({ world: { clock } }, async (node) => {
      const { storage } = node;
      const topic = await storage.createTopic('many', { overrides: { shards: 10_000 } });
      const record = encodeBatch([{ timestamp: 1, key: null, value: Buffer.from('one') }]);
      await storage.shard(topic, 0).append([Uint8Array.from(record)]);
      await expect.poll(() => clock.armed()).toBeLessThan(10);
      collect();
      const before = { timers: clock.armed(), ...process.memoryUsage() };
      const shards = storage.shards(topic);
      for (let from = 1; from < shards.length; from += 500)
        await Promise.all(shards.slice(from, from + 500).map((shard) => shard.append([Uint8Array.from(record)])));
      // what was written goes back to files, and the marks behind it are made
      await expect.poll(() => clock.armed(), { timeout: 10_000 }).toBeLessThanOrEqual(before.timers + 1);
      collect();
      const after = process.memoryUsage();
      const grown = after.heapUsed + after.external - before.heapUsed - before.external;
      expect(grown).toBeLessThan(100_000_000);
      expect((await storage.shard(topic, 9_999).read(0, { maxBytes: 1000 })).next).toBe(1);
    });
  }, 120_000);
});
