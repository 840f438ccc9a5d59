/**
 * When the next write-ahead object is put. Pure: the engine asks with real time, the forecast of costs with a made-up one.
 *
 * After a pause the first append waits `idleFlushMs` only, so that a lone message is not slow; then objects are `flushIntervalMs` apart,
 * so that a busy node puts few and large ones. A full buffer goes at once. What the budget of requests does not allow yet waits longer,
 * however full the buffer is: the bill is a promise, too.
 */
export interface PaceSettings {
  /** A buffer of so many bytes is put at once. */
  readonly flushBytes: number;
  readonly flushIntervalMs: number;
  readonly idleFlushMs: number;
  /** Objects on their way at once. */
  readonly uploads: number;
}

export interface PaceState {
  readonly bufferedBytes: number;
  /** When the oldest of it came, ms. */
  readonly bufferedSince: number;
  /** When the last object was sent off; -Infinity: never. */
  readonly lastFlush: number;
  readonly uploading: number;
  /** How long the budget makes a request wait that is asked for now, ms. */
  readonly budgetDelayMs: number;
}

/** Milliseconds from `now` until the buffer should be put; `undefined`: not before something else happens. */
export function flushDelay(settings: PaceSettings, state: PaceState, now: number): number | undefined {
  if (state.bufferedBytes === 0 || state.uploading >= settings.uploads) return undefined;
  const byTime = Math.max(state.bufferedSince + settings.idleFlushMs, state.lastFlush + settings.flushIntervalMs) - now;
  const wanted = state.bufferedBytes >= settings.flushBytes ? 0 : Math.max(0, byTime);
  return Math.max(wanted, state.budgetDelayMs);
}
