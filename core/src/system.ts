/** The real world: the only file outside of tests, with `fs/`, that reads clocks and chance. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock, Counter, Histogram, Logger, Metrics, Random } from './world.ts';

export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  timer: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export const systemRandom: Random = {
  next: () => randomBytes(4).readUInt32LE() / 2 ** 32,
  uuid: () => randomUUID(),
};

/** A count of its own of how busy the event loop of this thread has been. */
export function loopUtilization(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

/** Counts, and shows it to nobody. */
export const unreadMetrics: Metrics = {
  counter: (): Counter => ({ value: 0 }),
  gauge: () => {},
  histogram: (): Histogram => ({ observe: () => {} }),
};
