import type { Random } from '@robustmq/core';
import type { StoreTrouble } from '../../src/store/port.ts';

/** How a network and a store may be. Chances are of 1 and per request. */
export interface Weather {
  /** Most time on the way there, and back again: what lets requests overtake each other. 0: none. */
  readonly delayMs: number;
  /** Most microtask turns on each way beside that: lets requests of one instant overtake each other without a clock. */
  readonly turns: number;
  /** The request never arrives. */
  readonly lost: number;
  /** It is carried out and nobody is told. */
  readonly replyLost: number;
  /** It arrives long after the caller has given up, up to {@link Weather.lateMs} later. */
  readonly late: number;
  readonly lateMs: number;
  /** 503 SlowDown. */
  readonly slowDown: number;
  /** 500, carried out or not. */
  readonly server: number;
  /** The answer to a read ends too early. */
  readonly truncated: number;
}

export const CALM: Weather = {
  delayMs: 0,
  turns: 0,
  lost: 0,
  replyLost: 0,
  late: 0,
  lateMs: 0,
  slowDown: 0,
  server: 0,
  truncated: 0,
};

export const ROUGH: Weather = {
  delayMs: 400,
  turns: 5,
  lost: 0.05,
  replyLost: 0.05,
  late: 0.03,
  lateMs: 600_000,
  slowDown: 0.03,
  server: 0.03,
  truncated: 0.03,
};

/** What happens to one request. */
export type Fate =
  | { readonly kind: 'served' }
  /** No answer comes; the connection is cut, or stays silent until the caller's time is over. */
  | { readonly kind: 'lost' | 'reply-lost'; readonly silent: boolean }
  | { readonly kind: 'late'; readonly byMs: number }
  | { readonly kind: 'answered'; readonly trouble: StoreTrouble; readonly applied: boolean };

/** Draws in the same order for every request, so that one chance more or less leaves the rest of a run alike. */
export function fateOf(weather: Weather, random: Random, isRead: boolean): Fate {
  const draw = random.next();
  const second = random.next();
  let from = 0;
  const hit = (chance: number): boolean => {
    const below = draw >= from && draw < from + chance;
    from += chance;
    return below;
  };
  if (hit(weather.lost)) return { kind: 'lost', silent: second < 0.5 };
  if (hit(weather.replyLost)) return { kind: 'reply-lost', silent: second < 0.5 };
  if (hit(weather.late)) return { kind: 'late', byMs: second * weather.lateMs };
  if (hit(weather.slowDown)) return { kind: 'answered', trouble: 'slow-down', applied: false };
  if (hit(weather.server)) return { kind: 'answered', trouble: 'server', applied: second < 0.5 };
  if (isRead && hit(weather.truncated)) return { kind: 'answered', trouble: 'truncated', applied: false };
  return { kind: 'served' };
}
