import { systemClock } from '@robustmq/core';
import fc from 'fast-check';
import { FailedWithSeed } from '../check.ts';
import type { Command } from './commands.ts';

/** One world in which a sequence of commands is run. */
export interface Model {
  run(command: Command): Promise<void>;
  /** Checks what can be checked only at the end. */
  finish(): Promise<void>;
}

export interface ModelRun {
  readonly seed: number;
  /** New runs begin for so long. */
  readonly boxMs: number;
  readonly commands: fc.Arbitrary<readonly Command[]>;
  /** Opens a model for one run. */
  begin(): Model;
  /** After a run that failed: whatever makes the next one begin afresh. */
  restore(): Promise<void>;
}

const MOST_RUNS = 100_000;

/**
 * Random sequences until the time is up. The first one is made from `seed`, each further one from a seed of its own; a failure is shrunk,
 * and names its own seed: the same number as `seed` makes that sequence again, as the first, and shrinks it the same way.
 * @returns how many commands were run
 */
export async function runModel(options: ModelRun): Promise<number> {
  const until = systemClock.monotonic() + options.boxMs;
  let ran = 0;
  for (let run = 0; run < MOST_RUNS && (run === 0 || systemClock.monotonic() < until); run++) {
    const seed = (options.seed + Math.imul(run, 0x9e3779b1)) >>> 0;
    const failure = await runOnce(options, seed, (commands) => {
      ran += commands;
    });
    if (failure !== undefined) throw failure;
  }
  return ran;
}

async function runOnce(options: ModelRun, seed: number, count: (commands: number) => void): Promise<Error | undefined> {
  // shrinking has a time of its own, or a slow engine would never come to an end of it
  let until = Number.POSITIVE_INFINITY;
  let broken = false;
  const property = fc.asyncProperty(options.commands, async (commands) => {
    if (broken || systemClock.monotonic() > until) return;
    try {
      const model = options.begin();
      for (const [i, command] of commands.entries()) {
        try {
          await model.run(command);
        } catch (error) {
          throw new Error(`command ${i + 1}: ${error instanceof Error ? error.message : String(error)}`, {
            cause: error,
          });
        }
      }
      count(commands.length);
      await model.finish();
    } catch (error) {
      until = Math.min(until, systemClock.monotonic() + Math.max(2000, 2 * options.boxMs));
      await options.restore().catch(() => {
        broken = true;
      });
      throw error;
    }
  });
  const result = await fc.check(property, { seed: seed | 0, numRuns: 1 });
  if (!result.failed) return undefined;
  const { counterexample, counterexamplePath, numShrinks, errorInstance } = result;
  const [commands = []] = counterexample ?? [];
  const why = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  const lines = commands.map((command, i) => `  ${i + 1}. ${describe(command)}`);
  return new FailedWithSeed(
    `${why}\n${lines.join('\n')}\nShrunk ${numShrinks} times (path ${counterexamplePath}). Again: --seed ${seed}`,
    seed,
    { cause: errorInstance },
  );
}

function describe({ do: what, ...rest }: Command): string {
  return `${what} ${JSON.stringify(rest)}`;
}
