import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CONTROL } from '../src/wal/channel.ts';
import { type Progress, Ring } from '../src/wal/ring.ts';

const load = Atomics.load as (ints: Int32Array, index: number) => number; // of all there are, the one used here

function begin(bytes: number) {
  const ring = new Ring(bytes);
  const ints = new Int32Array(ring.control);
  const progress: Progress = { turn: 0, behind: 0, sequence: 0, offset: 0 };
  const asleep = (): void => {
    ints[CONTROL.sleeping] = 1;
  };
  return { ring, ints, progress, memory: Buffer.from(ring.memory), asleep };
}

let woken = 0;
beforeEach(() => {
  woken = 0;
  vi.spyOn(Atomics, 'notify').mockImplementation((_, index) => {
    if (index === CONTROL.wake) woken++;
    return 1;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

test('what is written lies behind what was written before, and goes on at the front behind the end', () => {
  const { ring, memory } = begin(10);
  ring.write(Buffer.from('abcd'));
  ring.skip(2);
  expect([ring.free, ring.mark()]).toEqual([4, { published: 6, ringOffset: 6 }]);
  ring.consumed(2);
  expect(ring.free).toBe(8);
  ring.write(Buffer.from('efghij'));
  expect(memory.toString('latin1')).toBe('ijcd\0\0efgh');
  expect([ring.free, ring.mark()]).toEqual([2, { published: 12, ringOffset: 2 }]);
  ring.consumed(0);
  // one that ends where the ring does
  ring.write(Buffer.from('klmnopqr'));
  expect(memory.toString('latin1')).toBe('ijklmnopqr');
  expect(ring.mark()).toEqual({ published: 20, ringOffset: 0 });
  ring.write(Buffer.from('s'));
  expect(memory.toString('latin1')).toBe('sjklmnopqr');
});

test('what is published is seen by the worker, which wakes up, or does not fall asleep', () => {
  const { ring, ints, asleep } = begin(100);
  ring.write(Buffer.from('abc'));
  expect(ints[CONTROL.published]).toBe(0);
  const before = ints[CONTROL.wake];
  ring.publish();
  expect(ints[CONTROL.published]).toBe(3);
  // it is just about to sleep on this
  expect(ints[CONTROL.wake]).not.toBe(before);
  asleep();
  ring.write(Buffer.from('d'));
  ring.publish();
  expect([ints[CONTROL.published], woken]).toEqual([4, 1]);
});

test('mail wakes the worker, and it can tell that there is some', () => {
  const { ring, ints, asleep } = begin(100);
  asleep();
  ring.mailSent();
  expect([ints[CONTROL.mail], ints[CONTROL.wake], woken]).toEqual([1, 1, 1]);
});

test('the worker is only waited upon early when it sleeps and there is much', () => {
  const { ring, ints, asleep } = begin(1024 * 1024);
  const much = 64 * 1024;
  ring.skip(much);
  expect(ring.isWaitedFor).toBe(false);
  asleep();
  expect(ring.isWaitedFor).toBe(true);
  ring.publish();
  expect(ring.isWaitedFor).toBe(false);
  ring.skip(1000);
  expect(ring.isWaitedFor).toBe(false);
  ring.skip(much);
  expect(ring.isWaitedFor).toBe(true);
  ints[CONTROL.sleeping] = 0;
  expect(ring.isWaitedFor).toBe(false);
});

test('a look at the ring while the worker changes the counters sees nothing', async () => {
  const { ring, ints, progress } = begin(1000);
  expect(ring.look(progress)).toBe(false);
  ints[CONTROL.turn] = 1;
  expect(ring.look(progress)).toBe(false);
  ints.set([2, 30, 4, 4096], CONTROL.turn);
  ring.skip(50);
  expect(ring.look(progress)).toBe(true);
  expect(progress).toEqual({ turn: 2, behind: 20, sequence: 4, offset: 4096 });
  expect(ring.look(progress)).toBe(false);
});

test('a look during which the counters have changed sees nothing, and the next one sees all', () => {
  const { ring, ints, progress } = begin(1000);
  ring.skip(50);
  ints.set([2, 30, 4, 4096], CONTROL.turn);
  let late = true;
  vi.spyOn(Atomics, 'load').mockImplementation(((_: Int32Array, index: number): number => {
    // the worker has begun and ended a group between two of its looks
    if (late && index === CONTROL.sequence) {
      late = false;
      ints.set([4, 50, 5, 8192], CONTROL.turn);
    }
    return load(ints, index);
  }) as never);
  expect(ring.look(progress)).toBe(false);
  expect(progress).toEqual({ turn: 0, behind: 0, sequence: 0, offset: 0 });
  expect(ring.look(progress)).toBe(true);
  expect(progress).toEqual({ turn: 4, behind: 0, sequence: 5, offset: 8192 });
});
