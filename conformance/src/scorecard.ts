import { type EngineDefinition, systemClock } from '@robustmq/core';
import type { Facts } from './check.ts';
import { checks } from './promises.ts';
import { belongsOn, type RunOptions, runCheck, type Stage } from './run-check.ts';

export interface Scorecard {
  readonly stage: Stage['kind'];
  readonly passed: readonly string[];
  readonly failed: readonly { readonly id: string; readonly error: Error }[];
  readonly notClaimed: readonly string[];
  readonly seconds: number;
  readonly facts: Facts;
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
  let facts: Facts = {};
  const onFacts = (more: Facts): void => {
    facts = withFacts(facts, more);
  };
  for (const check of checks) {
    if (!belongsOn(check, stage.kind) || options.only?.includes(check.id) === false) continue;
    try {
      const ran = await runCheck(check, definition, stage, { ...options, onFacts });
      (ran ? passed : notClaimed).push(check.id);
      options.onResult?.(check.id, ran ? 'passed' : 'not claimed');
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      failed.push({ id: check.id, error });
      options.onResult?.(check.id, 'failed', error);
    }
  }
  return { stage: stage.kind, passed, failed, notClaimed, facts, seconds: (systemClock.monotonic() - from) / 1000 };
}

/**
 * One row for an engine, from the cards of its stages: `memory   passed 93 (engine 72, shard 21)   failed 0   not claimed 16   0.8 s`.
 * @param seconds that it took, when its checks did not run one after the other
 */
export function formatScorecard(
  name: string,
  cards: readonly Scorecard[],
  seconds: number = cards.reduce((sum, card) => sum + card.seconds, 0),
): string {
  const count = (of: 'passed' | 'failed' | 'notClaimed'): number =>
    cards.reduce((sum, card) => sum + card[of].length, 0);
  const failed = cards.flatMap((card) => card.failed.map(({ id }) => `${card.stage} ${id}`));
  return [
    name.padEnd(12),
    `passed ${count('passed')} (${cards.map(({ stage, passed }) => `${stage} ${passed.length}`).join(', ')})`,
    `failed ${failed.length}${failed.length === 0 ? '' : ` (${failed.join(', ')})`}`,
    `not claimed ${count('notClaimed')}`,
    `${seconds.toFixed(1)} s`,
  ].join('   ');
}

/** What was counted so far, and what one more check has counted. */
export function withFacts(facts: Facts, more: Facts): Facts {
  return { ...facts, ...more, ...addedUp(facts.faultSteps, more.faultSteps) };
}

/** Several checks count fault steps, each of its own kind of failure. */
function addedUp(so: Facts['faultSteps'], more: Facts['faultSteps']): Pick<Facts, 'faultSteps'> {
  if (so === undefined || so === 'n/a' || more === undefined || more === 'n/a')
    return more === undefined ? {} : { faultSteps: more };
  return { faultSteps: { tried: so.tried + more.tried, of: so.of + more.of } };
}
