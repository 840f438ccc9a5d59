import type { Clock, Timer } from '@robustmq/core';
import { StoreError } from './port.ts';

/**
 * Runs one request with a signal that fires when the caller gives up, or when it has taken too long; says which it was. It ends then, also when what
 * it runs does not: some of a library's steps hear no signal.
 */
export async function withDeadline<T>(
  clock: Clock,
  timeoutMs: number,
  options: { readonly what: string; readonly signal?: AbortSignal | undefined },
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { what, signal } = options;
  if (signal?.aborted) throw new StoreError('aborted', `${what}: given up before it was sent`, { mayBeApplied: false });
  const controller = new AbortController();
  let timer: Timer | undefined;
  let giveUp = (): void => {};
  const ended = new Promise<never>((_, reject) => {
    const end = (trouble: 'timeout' | 'aborted', why: string): void => {
      reject(new StoreError(trouble, `${what}: ${why}`, { mayBeApplied: true }));
      controller.abort();
    };
    timer = clock.timer(timeoutMs, () => end('timeout', `no answer within ${timeoutMs} ms`));
    giveUp = () => end('aborted', 'given up');
  });
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    const running = run(controller.signal);
    running.catch(() => {}); // it may fail when nobody waits for it any more
    return await Promise.race([running, ended]);
  } finally {
    timer?.cancel();
    signal?.removeEventListener('abort', giveUp);
  }
}
