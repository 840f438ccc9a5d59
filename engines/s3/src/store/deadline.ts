import type { Clock } from '@robustmq/core';
import { StoreError } from './port.ts';

/** Runs one request with a signal that fires when the caller gives up, or when it has taken too long; says which it was. */
export async function withDeadline<T>(
  clock: Clock,
  timeoutMs: number,
  options: { readonly what: string; readonly signal?: AbortSignal | undefined },
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { what, signal } = options;
  if (signal?.aborted) throw new StoreError('aborted', `${what}: given up before it was sent`, { mayBeApplied: false });
  const controller = new AbortController();
  let late = false;
  const timer = clock.timer(timeoutMs, () => {
    late = true;
    controller.abort();
  });
  const giveUp = (): void => controller.abort();
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    return await run(controller.signal);
  } catch (error) {
    if (late)
      throw new StoreError('timeout', `${what}: no answer within ${timeoutMs} ms`, {
        mayBeApplied: true,
        cause: error,
      });
    if (signal?.aborted) throw new StoreError('aborted', `${what}: given up`, { mayBeApplied: true, cause: error });
    throw error;
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', giveUp);
  }
}
