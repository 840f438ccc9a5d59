import { encodeBatch } from '@robustmq/core';
import fc from 'fast-check';
import { bodyOf, NOON } from '../batches.ts';
import type { Part } from './call.ts';

/** Sizes are of the value: a share of the largest batch from a million on, so that a command is the same for every engine. */
export interface BatchPlan {
  readonly records: number;
  readonly size: number;
  readonly ms: number;
}

export type Aborting = 'no' | 'before' | 'after';

/** Commands are data, and mean something in any state: so any part of a sequence is a sequence, and shrinking finds the least. */
export type Command =
  | {
      readonly do: 'append';
      readonly slot: number;
      readonly batches: readonly BatchPlan[];
      readonly wait: boolean;
      readonly abort: Aborting;
    }
  | { readonly do: 'settle' | 'offsets' | 'stale'; readonly slot: number }
  | { readonly do: 'read'; readonly slot: number; readonly at: number; readonly maxBytes: number }
  | { readonly do: 'time'; readonly slot: number; readonly ms: number }
  | { readonly do: 'seal'; readonly slot: number; readonly wait: boolean }
  | { readonly do: 'recover'; readonly slot: number; readonly epochs: number }
  | { readonly do: 'reader' | 'delete'; readonly slot: number; readonly back: number }
  | { readonly do: 'list'; readonly limit: number }
  | { readonly do: 'reopen'; readonly crash: boolean }
  | { readonly do: 'poll'; readonly batches: readonly BatchPlan[] }
  | { readonly do: 'trim'; readonly at: number }
  | { readonly do: 'roll' | 'takeOver' };

export const SLOTS = 3;
const WHOLE = 1_000_000;
const MOST = 40;

const slot = fc.nat(SLOTS - 1);
const at = fc.nat(1000);
const back = fc.nat(2);
const wait = fc.boolean();
const maxBytes = fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 400, max: 200_000 }));
const size = fc.oneof(
  { weight: 60, arbitrary: fc.nat(200) },
  { weight: 10, arbitrary: fc.nat(20_000) },
  { weight: 1, arbitrary: fc.integer({ min: WHOLE, max: 2 * WHOLE }) },
);
const batches = fc.array(fc.record({ records: fc.integer({ min: 1, max: 4 }), size, ms: fc.nat(60) }), {
  minLength: 1,
  maxLength: 4,
});
const abort = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Aborting>('no') },
  { weight: 1, arbitrary: fc.constantFrom<Aborting>('before', 'after') },
);

/** Usual for both. */
const append = fc.record({ do: fc.constant('append' as const), slot, batches, wait, abort });
const read = fc.record({ do: fc.constant('read' as const), slot, at, maxBytes });
const look = fc.record({ do: fc.constantFrom('settle' as const, 'offsets' as const), slot });
const time = fc.record({ do: fc.constant('time' as const), slot, ms: fc.integer({ min: -1, max: 61 }) });

export function engineCommands(canCrash: boolean): fc.Arbitrary<readonly Command[]> {
  return sequence(
    { weight: 16, arbitrary: append },
    { weight: 6, arbitrary: read },
    { weight: 5, arbitrary: look },
    { weight: 3, arbitrary: time },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('seal' as const), slot, wait }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('recover' as const), slot, epochs: fc.integer({ min: -1, max: 2 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('stale' as const), slot }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('reader' as const, 'delete' as const), slot, back }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('list' as const), limit: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 1, arbitrary: reopen(canCrash) },
  );
}

/**
 * A shard has no word for a seal, a fence or a recovery: it rolls by the size of its segments, and is fenced when another owner takes it over. What a
 * recovery by one epoch or another finds is asked of the engine alone.
 */
export function shardCommands(canCrash: boolean): fc.Arbitrary<readonly Command[]> {
  return sequence(
    { weight: 16, arbitrary: append },
    { weight: 6, arbitrary: read },
    { weight: 4, arbitrary: look },
    { weight: 3, arbitrary: time },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('poll' as const), batches }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), at }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('roll' as const, 'takeOver' as const) }) },
    { weight: 1, arbitrary: reopen(canCrash) },
  );
}

function sequence(...options: fc.WeightedArbitrary<Command>[]): fc.Arbitrary<readonly Command[]> {
  return fc.array(fc.oneof(...options), { minLength: 1, maxLength: MOST, size: 'max' });
}

function reopen(canCrash: boolean): fc.Arbitrary<Command> {
  return fc.record({ do: fc.constant('reopen' as const), crash: canCrash ? fc.boolean() : fc.constant(false) });
}

/** Makes what a plan says; `tag` makes each batch another one, also with values of no bytes. */
export function make(plan: readonly BatchPlan[], tag: string, base: number, maxBatchBytes: number): Made {
  const given: Uint8Array[] = [];
  const parts: Part[] = [];
  let next = base;
  let room = maxBatchBytes;
  for (const [i, { records, size, ms }] of plan.entries()) {
    // one large batch in an append: two would only be slower
    const most = Math.max(0, room - 200);
    const whole = size >= WHOLE;
    const bytes = Math.min(
      most,
      whole ? Math.floor(((size - WHOLE) / WHOLE) * maxBatchBytes) : Math.floor(size / records),
    );
    const count = whole ? 1 : records;
    if (whole) room = Math.min(room, 20_000);
    const made = encodeBatch(
      Array.from({ length: count }, (_, n) => ({
        key: Buffer.from(`${tag}-${i}-${n}`),
        value: Buffer.alloc(bytes, i + n),
        headers: [],
        timestamp: NOON + ms,
      })),
      { baseOffset: next },
    );
    given.push(made);
    parts.push({ body: bodyOf(made), records: count, time: NOON + ms });
    next += count;
  }
  return { batches: given, parts, next, bytes: given.reduce((sum, { length }) => sum + length, 0) };
}

export interface Made {
  readonly batches: readonly Uint8Array[];
  readonly parts: readonly Part[];
  readonly next: number;
  readonly bytes: number;
}
