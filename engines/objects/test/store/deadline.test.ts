import { VirtualClock } from '@robustmq/core/testing';
import { expect, test } from 'vitest';
import { withDeadline } from '../../src/store/deadline.ts';
import { StoreError } from '../../src/store/port.ts';

const what = 'GET a';

test('a request whose steps hear no signal ends in time all the same', async () => {
  const clock = new VirtualClock();
  let fail = (_error: Error): void => {};
  let seen: AbortSignal | undefined;
  const running = withDeadline(clock, 1000, { what }, (signal) => {
    seen = signal;
    return new Promise((_, reject) => {
      fail = reject;
    });
  });
  const ended = expect(running).rejects.toMatchObject({
    trouble: 'timeout',
    mayBeApplied: true,
    message: 'GET a: no answer within 1000 ms',
  });
  await clock.advance(1000);
  await ended;
  expect(seen?.aborted).toBe(true);
  // nobody waits for it any more
  fail(new Error('late'));
  await clock.advance(0);
});

test('what ends by itself leaves no timer and no listener', async () => {
  const clock = new VirtualClock();
  const { signal } = new AbortController();
  const denied = new StoreError('denied', 'no', { mayBeApplied: false });
  expect(await withDeadline(clock, 1000, { what, signal }, async () => 7)).toBe(7);
  await expect(withDeadline(clock, 1000, { what, signal }, () => Promise.reject(denied))).rejects.toBe(denied);
  expect(clock.pending).toBe(0);
});

test('who gives up is told apart from who is late, and from who never began', async () => {
  const clock = new VirtualClock();
  const giving = new AbortController();
  const hung = (): Promise<never> => new Promise(() => {});
  const running = withDeadline(clock, 1000, { what, signal: giving.signal }, hung);
  giving.abort();
  await expect(running).rejects.toMatchObject({ trouble: 'aborted', mayBeApplied: true });
  await expect(withDeadline(clock, 1000, { what, signal: giving.signal }, hung)).rejects.toMatchObject({
    trouble: 'aborted',
    mayBeApplied: false,
  });
  expect(clock.pending).toBe(0);
});
