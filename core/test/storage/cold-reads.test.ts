import type { StorageError } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, it } from 'vitest';
import { ColdReads } from '../../src/shard/cold-reads.ts';

const MiB = 1024 * 1024;
const BYTES = new Uint8Array(4 * MiB);

/** Reads of a MiB each by some that want all they can get, and a node that does other things meanwhile. */
class World {
  readonly clock = new VirtualClock();
  readonly appends = { value: 0 };
  readonly held = { value: 0 };
  busy = 0;
  appending = true;
  started = 0;
  done = 0;
  readonly cold = new ColdReads({
    clock: this.clock,
    busy: () => this.busy,
    appends: this.appends,
    held: this.held,
  });

  read(bytes = MiB, most = bytes, signal?: AbortSignal): Promise<unknown> {
    return this.cold.run(most, signal, async () => {
      this.started++;
      await new Promise<void>((resolve) => this.clock.timer(5, resolve));
      this.done++;
      return { bytes: BYTES.subarray(0, bytes) };
    });
  }

  /** So many read for ever, beside appends. @returns to end it */
  readers(count: number): () => Promise<void> {
    let isOver = false;
    const all = Array.from({ length: count }, async () => {
      while (!isOver) await this.read();
    });
    return async () => {
      isOver = true;
      this.close();
      await this.clock.advance(1000);
      await Promise.all(all);
    };
  }

  async advance(ms: number): Promise<void> {
    for (let i = 0; i < ms / 50; i++) {
      if (this.appending) this.appends.value++;
      await this.clock.advance(50);
    }
  }

  /** @returns MiB per second of so many readers */
  async rateOf(readers: number, seconds: number): Promise<number> {
    const before = this.done;
    const end = this.readers(readers);
    await this.advance(seconds * 1000);
    const rate = (this.done - before) / seconds;
    await end();
    return rate;
  }

  close(): void {
    this.cold.end();
  }
}

describe('Reads of the archive', () => {
  it('are not held on a node that does nothing else, however busy they keep it', async () => {
    const world = new World();
    world.busy = 1;
    world.appending = false;
    // 4 readers, 5 ms a read
    expect(await world.rateOf(4, 5)).toBeGreaterThan(700);
    expect(world.held.value).toBe(0);
  });

  it('are not held beside appends while the loop has room', async () => {
    const world = new World();
    world.busy = 0.5;
    expect(await world.rateOf(4, 5)).toBeGreaterThan(700);
    expect(world.held.value).toBe(0);
  });

  it('get 4 MiB per second when the loop stays full, and no less', async () => {
    const world = new World();
    world.busy = 1;
    const end = world.readers(4);
    await world.advance(10_000);
    expect(world.cold.rate).toBe(4 * MiB);
    const before = world.done;
    await world.advance(10_000);
    expect(world.done - before).toBeGreaterThanOrEqual(38);
    expect(world.done - before).toBeLessThanOrEqual(42);
    expect(world.held.value).toBeGreaterThan(10);
    await end();
  });

  it('get more again when there is room, until none is held', async () => {
    const world = new World();
    world.busy = 1;
    const end = world.readers(4);
    await world.advance(10_000);
    expect(world.cold.rate).toBe(4 * MiB);
    world.busy = 0.2;
    await world.advance(3_000);
    expect(world.cold.rate).toBeGreaterThan(40 * MiB);
    await world.advance(10_000);
    expect(world.cold.rate).toBe(Number.POSITIVE_INFINITY);
    await end();
  });

  it('are let go at once when the appends end', async () => {
    const world = new World();
    world.busy = 1;
    const end = world.readers(4);
    await world.advance(10_000);
    world.appending = false;
    const before = world.done;
    await world.advance(3000);
    // a second and a look later
    expect(world.done - before).toBeGreaterThan(500);
    await end();
  });

  it('pay for what they got, not for what they asked for', async () => {
    const world = new World();
    world.busy = 1;
    let isOver = false;
    const small = Array.from({ length: 2 }, async () => {
      while (!isOver) await world.read(1024, 50 * MiB);
    });
    for (let i = 0; i < 400; i++) {
      world.appends.value++;
      await world.clock.advance(50);
    }
    // each gives back nearly all that it took, and lets the next one go: 5 ms each
    expect(world.done).toBeGreaterThan(2000);
    isOver = true;
    world.close();
    await world.clock.advance(1000);
    await Promise.all(small);
  });

  it('give back what a read that failed took', async () => {
    const world = new World();
    world.busy = 1;
    const end = world.readers(1);
    await world.advance(10_000);
    expect(world.cold.rate).toBe(4 * MiB);
    let failed = 0;
    let isOver = false;
    const failing = (async () => {
      while (!isOver)
        await world.cold
          .run(4 * MiB, undefined, () => Promise.reject(new Error('no such object')))
          .catch(() => failed++);
    })();
    const before = world.done;
    await world.advance(10_000);
    // one by one, and the other one has its 4 MiB a second as if it were alone
    expect(failed).toBeGreaterThanOrEqual(30);
    expect(world.done - before).toBeGreaterThanOrEqual(30);
    isOver = true;
    await world.advance(1000);
    await failing;
    await end();
  });

  it('leave no debt behind that the next ones pay for', async () => {
    const world = new World();
    world.busy = 1;
    const begun = world.clock.monotonic();
    // many go without credit, since they have waited for long
    const many = Array.from({ length: 30 }, async () => {
      while (world.clock.monotonic() - begun < 60_000) await world.read(4 * MiB);
    });
    await world.advance(80_000);
    await Promise.all(many);
    const before = world.done;
    const end = world.readers(1);
    await world.advance(20_000);
    expect(world.done - before).toBeGreaterThanOrEqual(70);
    await end();
  });

  it('are given up by who no longer wants them, and then read nothing', async () => {
    const world = new World();
    world.busy = 1;
    const end = world.readers(4);
    await world.advance(10_000);
    const giveUp = new AbortController();
    const held = Array.from({ length: 5 }, () => world.read(4 * MiB, 4 * MiB, giveUp.signal));
    const outcomes = Promise.allSettled(held);
    giveUp.abort();
    const started = world.started;
    expect((await outcomes).map((one) => one.status === 'rejected' && (one.reason as StorageError).code)).toEqual(
      Array(5).fill('ABORTED'),
    );
    expect(world.started).toBe(started);
    await expect(world.read(4 * MiB, 4 * MiB, giveUp.signal)).rejects.toMatchObject({ code: 'ABORTED' });
    await end();
    expect(world.clock.pending).toBe(0);
  });

  it('are held for five seconds at most, in the order they came, and not by a node that closes', async () => {
    const world = new World();
    world.busy = 1;
    const order: number[] = [];
    // full, and much was read: from here each has to wait for its bytes
    for (let i = 0; i < 30; i++) {
      world.appends.value++;
      void world.read(4 * MiB);
      await world.clock.advance(100);
    }
    const many = Array.from({ length: 50 }, (_, i) => world.read(4 * MiB).then(() => order.push(i)));
    const before = world.done;
    for (let i = 0; i < 60; i++) {
      world.appends.value++;
      await world.clock.advance(100);
    }
    expect(world.done - before).toBeGreaterThanOrEqual(50);
    await Promise.all(many);
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));

    const last = world.read(4 * MiB);
    const another = world.read(4 * MiB);
    world.close();
    await world.clock.advance(200);
    await Promise.all([last, another]);
    expect(world.clock.pending).toBe(0);
  });
});
