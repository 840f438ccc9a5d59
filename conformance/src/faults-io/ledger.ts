import assert from 'node:assert/strict';
import {
  describeError,
  isStorageError,
  type SegmentReader,
  type StorageCode,
  StorageError,
  systemClock,
} from '@robustmq/core';
import { bodyOf, logOf, readAll } from '../batches.ts';

/** What came of a call: done, certainly not done, or nobody knows. */
export type Came = 'done' | 'none' | 'unknown';

export interface Attempt {
  readonly base: number;
  readonly next: number;
  readonly bodies: readonly Buffer[];
  came: Came | 'waits';
}

/** What was asked of one segment while something went wrong, and what the engine said to it. */
export interface Page {
  readonly id: string;
  readonly base: number;
  readonly state: Uint8Array;
  created: Came;
  attempts: Attempt[];
  /** Where `recover` or `seal` said it ends. */
  end?: number;
  deleted?: Came;
  /** Somebody tried to create it. */
  asked?: true;
}

/** What a failed step of I/O may make of a call. Anything else blames the caller, or the data. */
const FAILURES: readonly StorageCode[] = [
  'IO_ERROR',
  'WRITER_FAILED',
  'DISK_FULL',
  'SEGMENT_MUST_ROLL',
  'BACKPRESSURE',
  'TIMEOUT',
];

/** Whether it is a name for a failed step. */
export function isFailure(error: unknown): boolean {
  return isStorageError(error) && FAILURES.includes(error.code);
}

/** What went wrong, for the words of another error. */
export function whyOf(error: unknown): string {
  if (isStorageError(error)) return describeError(error);
  return error instanceof Error ? error.message : String(error);
}

/** A call that has not settled by then hangs. Far above what any step takes, also on a machine that is busy with other things. */
export const patience: { hangsAfterMs: number } = { hangsAfterMs: 10_000 };

/** Settles as the call does, or fails the check: a call that nobody answers is a client that waits for ever. */
export async function inTime<T>(what: string, call: Promise<T>, withinMs: number = patience.hangsAfterMs): Promise<T> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = systemClock.timer(withinMs, () => reject(new Error(`${what} has not settled`)));
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    timer?.cancel();
  }
}

/** The call as it came out: well, or with a typed error that a failed step of I/O explains. */
export async function outcomeOf<T>(
  what: string,
  call: Promise<T>,
  also: readonly StorageCode[] = [],
): Promise<{ readonly came: 'done'; readonly value: T } | { readonly came: 'none' | 'unknown' }> {
  try {
    return { came: 'done', value: await inTime(what, call) };
  } catch (error) {
    if (!isStorageError(error)) {
      if (error instanceof Error && error.message.endsWith('has not settled')) throw error;
      assert.fail(`${what} failed with what is no StorageError: ${String(error)}`);
    }
    assert.ok(
      isFailure(error) || also.includes(error.code),
      `${what} failed with ${error.code}, which is no name for a failed step: ${error.message}`,
    );
    return { came: error.outcome };
  }
}

/** Attempts in the order of their offsets: what was acknowledged is there, what was refused is not, and all of each or nothing. */
export async function assertKept(page: Page, reader: SegmentReader): Promise<void> {
  const { id, attempts, base } = page;
  const { committed, end, sealed, base: found } = reader.offsets();
  assert.deepEqual({ base: found, end, sealed }, { base, end: committed, sealed: true }, `offsets of ${id}`);
  assert.deepEqual(new Uint8Array(await reader.state()), page.state, `state of ${id}`);
  const acknowledged = attempts.reduce((next, attempt) => (attempt.came === 'done' ? attempt.next : next), base);
  assert.ok(committed >= acknowledged, `${id} ends at ${committed}, appends up to ${acknowledged} were acknowledged`);
  const batches = await readAll(logOf(reader));
  let at = base;
  for (let i = 0; i < batches.length; ) {
    const there = batches.slice(i);
    const attempt = attempts.find(
      ({ base: from, bodies }) => from === at && bodies.every((body, b) => there[b]?.body.equals(body) === true),
    );
    assert.ok(attempt !== undefined, `${id} holds at offset ${at} what is no whole append of those made there`);
    assert.notEqual(attempt.came, 'none', `${id} holds the append at ${at} that was said to be certainly not applied`);
    const acknowledgedHere = attempts.find(({ base: from, came }) => from === at && came === 'done');
    assert.ok(
      acknowledgedHere === undefined || acknowledgedHere === attempt,
      `${id} holds another append at ${at} than the one that was acknowledged`,
    );
    at = attempt.next;
    i += attempt.bodies.length;
  }
  assert.equal(at, committed, `${id} says it ends at ${committed}, and holds what ends at ${at}`);
  if (page.end !== undefined) assert.equal(committed, page.end, `the end of ${id}, which was sealed before`);
}

export function attemptOf(base: number, next: number, batches: readonly Uint8Array[]): Attempt {
  return { base, next, bodies: batches.map(bodyOf), came: 'waits' };
}

export function gone(error: unknown): boolean {
  return error instanceof StorageError && (error.code === 'SEGMENT_UNKNOWN' || error.code === 'SEGMENT_LOST');
}
