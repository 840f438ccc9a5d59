import { type EngineDefinition, systemClock } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import {
  type Check,
  type EngineHarness,
  type Facts,
  FailedWithSeed,
  type Log,
  NotClaimed,
  type ShardHarness,
} from './check.ts';
import { IngestedLog } from './ingested-log.ts';
import { commandFor, runAgain } from './run-again.ts';
import { SegmentLog } from './segment-log.ts';
import { ShardLog } from './shard-log.ts';

/** Where the checks of one run happen. */
export type Stage =
  | { readonly kind: 'engine'; readonly open: () => Promise<EngineHarness> }
  | { readonly kind: 'shard'; readonly open: () => Promise<ShardHarness> };

export interface RunOptions {
  readonly seed?: number;
  /** A check that takes longer has failed; one that says so may take longer. */
  readonly timeoutMs?: number;
  /** Times as long as usual for checks that look for something by chance; `ROBUST_CONFORMANCE_EFFORT` unless given, else 1. */
  readonly effort?: number;
  /** What a failure says to type, but for the check and the seed: `npx @robustmq/conformance`, and what it needs. */
  readonly command?: string;
  onFacts?(facts: Facts): void;
}

/** Checks that ask for more time than this are left out of a quick run. */
const QUICK_MS = 20_000;

export function isLong({ timeoutMs = 0 }: Check): boolean {
  return timeoutMs > QUICK_MS;
}

/** True when the check belongs on this stage. */
export function belongsOn(check: Check, kind: Stage['kind']): boolean {
  return check.subject === 'log' || check.subject === kind;
}

/** Whether it is promised, by what the engine declares. No shard can be written on one that takes whole segments only. */
export function isClaimed(
  check: Check,
  { capabilities }: Pick<EngineDefinition, 'capabilities'>,
  kind: Stage['kind'],
  harness: { readonly canCrash: boolean },
): boolean {
  if (kind === 'shard' && !capabilities.append) return false;
  return check.claimed?.(capabilities, harness) ?? true;
}

/** Runs one check in a world of its own. @returns false when the engine does not make the promise */
export async function runCheck(
  check: Check,
  definition: EngineDefinition,
  stage: Stage,
  options: RunOptions = {},
): Promise<boolean> {
  // most claims hang on the declaration alone: no world is opened for what is not claimed
  const claimed = (canCrash: boolean): boolean => isClaimed(check, definition, stage.kind, { canCrash });
  if (!claimed(true)) return false;
  const effort = effortOf(options);
  const timeoutMs = Math.max(1, effort) * (check.timeoutMs ?? options.timeoutMs ?? 20_000);
  // timers of the world keep no process alive: one that waits for nothing else would end in the middle of a check
  const alive = setInterval(() => {}, 60_000);
  // a rejection that nobody hears of ends a process, and with it what all other checks have to say
  const unheard = new Map<Promise<unknown>, unknown>();
  const unhandled = (reason: unknown, promise: Promise<unknown>): void => void unheard.set(promise, reason);
  const handled = (promise: Promise<unknown>): void => void unheard.delete(promise);
  process.on('unhandledRejection', unhandled);
  process.on('rejectionHandled', handled);
  try {
    const harness = await within<EngineHarness | ShardHarness>(timeoutMs, stage.open(), 'open').catch(
      (error: unknown) => {
        throw named(check, options, error);
      },
    );
    let runs = claimed(harness.canCrash);
    let failure: { readonly error: unknown } | undefined;
    try {
      if (runs) await within(timeoutMs, runOn(check, definition, stage.kind, harness, options));
    } catch (error) {
      if (error instanceof NotClaimed) runs = false;
      else failure = { error };
    }
    try {
      await within(timeoutMs, harness.dispose());
    } catch (error) {
      failure ??= { error };
    }
    // they are told of when the turn is over
    await new Promise((resolve) => setImmediate(resolve));
    // of a check that has failed they are a part of the failure
    for (const reason of unheard.values())
      failure ??= { error: new Error(`a promise was rejected, and nobody heard it: ${reason}`, { cause: reason }) };
    if (failure !== undefined) throw named(check, options, failure.error);
    return runs;
  } finally {
    process.off('unhandledRejection', unhandled);
    process.off('rejectionHandled', handled);
    clearInterval(alive);
  }
}

async function runOn(
  check: Check,
  definition: EngineDefinition,
  kind: Stage['kind'],
  harness: EngineHarness | ShardHarness,
  options: RunOptions,
): Promise<void> {
  const { seed = 1, onFacts = () => {} } = options;
  const effort = effortOf(options);
  const random = new SeededRandom(seed);
  if (check.subject === 'log') {
    await check.run({ definition, log: await logOver(harness, definition), random });
  } else if (check.subject === 'engine' && 'engine' in harness) {
    const trial = { definition, harness, random, seed, effort, note: onFacts };
    await check.run(
      Object.defineProperty(trial, 'engine', { get: () => harness.engine }) as typeof trial & EngineHarness,
    ); // as just added
  } else if (check.subject === 'shard' && 'shard' in harness) {
    const trial = { definition, harness, random, seed, effort, note: onFacts };
    await check.run(Object.defineProperty(trial, 'shard', { get: () => harness.shard }) as typeof trial & ShardHarness); // as just added
  } else throw new Error(`${check.id} is no check of a ${kind}`);
}

async function logOver(harness: EngineHarness | ShardHarness, { capabilities }: EngineDefinition): Promise<Log> {
  if (!('engine' in harness)) return new ShardLog(harness);
  return capabilities.append ? await SegmentLog.open(harness) : new IngestedLog(harness);
}

function effortOf({ effort = Number(process.env.ROBUST_CONFORMANCE_EFFORT ?? 1) }: RunOptions): number {
  return effort > 0 ? effort : 1;
}

async function within<T>(ms: number, work: Promise<T>, what = 'it'): Promise<T> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = systemClock.timer(ms, () => reject(new Error(`${what} did not end within ${ms} ms`)));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}

/** What a person needs to go on: the promise, why it exists, what was seen instead, how to see it again alone. */
function named(check: Check, options: RunOptions, error: unknown): Error {
  const { id, level, promise, why } = check;
  const { command = commandFor({}) } = options;
  const seed = error instanceof FailedWithSeed ? error.seed : (options.seed ?? 1);
  const seen = error instanceof Error ? error.message : String(error);
  const lines = [
    `${id} ${level} ${promise}: ${seen} (seed ${seed})`,
    `  why: ${why}`,
    `  run just this: ${runAgain(command, { id, seed, effort: effortOf(options) })}`,
  ];
  return new FailedWithSeed(lines.join('\n'), seed, { cause: error });
}
