import { type EngineDefinition, systemClock } from '@robustmq/core';
import { checks } from './promises.ts';
import { belongsOn, type RunOptions, runCheck, type Stage } from './run-check.ts';

export interface Scorecard {
  readonly title: string;
  readonly passed: readonly string[];
  readonly failed: readonly { readonly id: string; readonly error: Error }[];
  readonly notClaimed: readonly string[];
  readonly seconds: number;
}

export interface ScorecardOptions extends RunOptions {
  /** Ids to run; all by default. */
  readonly only?: readonly string[];
  onResult?(id: string, result: 'passed' | 'failed' | 'not claimed', error?: Error): void;
}

/** Runs the checks one after the other without a test runner. */
export async function runScorecard(
  definition: EngineDefinition,
  stage: Stage,
  options: ScorecardOptions = {},
): Promise<Scorecard> {
  const passed: string[] = [];
  const failed: { id: string; error: Error }[] = [];
  const notClaimed: string[] = [];
  const from = systemClock.monotonic();
  for (const check of checks) {
    if (!belongsOn(check, stage.kind) || options.only?.includes(check.id) === false) continue;
    try {
      const ran = await runCheck(check, definition, stage, options);
      (ran ? passed : notClaimed).push(check.id);
      options.onResult?.(check.id, ran ? 'passed' : 'not claimed');
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      failed.push({ id: check.id, error });
      options.onResult?.(check.id, 'failed', error);
    }
  }
  const title = `${stage.kind} ${definition.name}`;
  return { title, passed, failed, notClaimed, seconds: (systemClock.monotonic() - from) / 1000 };
}

/** One row: `engine memory   passed 64  failed 0  not claimed 9   1.2 s`. */
export function formatScorecard(card: Scorecard): string {
  const failed = card.failed.length === 0 ? '' : `  (${card.failed.map(({ id }) => id).join(', ')})`;
  return [
    card.title.padEnd(24),
    `passed ${String(card.passed.length).padStart(3)}`,
    `failed ${String(card.failed.length).padStart(3)}${failed}`,
    `not claimed ${String(card.notClaimed.length).padStart(3)}`,
    `${card.seconds.toFixed(1)} s`,
  ].join('   ');
}
