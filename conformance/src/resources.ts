import { readdirSync, readlinkSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Clock, systemClock, type Timer } from '@robustmq/core';

/** Descriptors of this process; `undefined` on a system that does not tell. */
export function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}

/** What they are open on: paths, sockets, pipes. */
export function openFileNames(): string[] {
  return (openFiles() === undefined ? [] : readdirSync('/proc/self/fd')).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // the one that was just used to look
    }
  });
}

/** What keeps the process alive now, by kind: `Timeout`, `MessagePort`, `TCPSocketWrap`, ... */
export function activeResources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** Bytes on and off the heap that something still holds. */
export function heldBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external; // buffers are among what is external
}

/** The system's clock, with a count of its timers that are still to run. */
export class CountedClock implements Clock {
  readonly #waiting = new Set<object>();

  get timers(): number {
    return this.#waiting.size;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  wall(): number {
    return systemClock.wall();
  }

  timer(delayMs: number, run: () => void): Timer {
    const waiting = {};
    this.#waiting.add(waiting);
    const timer = systemClock.timer(delayMs, () => {
      this.#waiting.delete(waiting);
      run();
    });
    return {
      cancel: () => {
        this.#waiting.delete(waiting);
        timer.cancel();
      },
    };
  }
}

/** Looks again for a while: threads and descriptors that are let go of are gone a moment later. @returns the last look */
export async function eventually<T>(look: () => T, good: (seen: T) => boolean): Promise<T> {
  for (let wait = 10; ; wait *= 2) {
    const seen = look();
    if (good(seen) || wait > LAST_WAIT_MS) return seen;
    await pause(wait);
  }
}

/** Some 2.5 s in all. */
const LAST_WAIT_MS = 1280;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.timer(ms, resolve);
  });
}

let gc: (() => void) | undefined;

function collect(): void {
  if (gc === undefined) {
    setFlagsFromString('--expose-gc');
    const exposed: unknown = runInNewContext('gc');
    gc = typeof exposed === 'function' ? () => void exposed() : () => {};
  }
  gc();
  gc();
}
