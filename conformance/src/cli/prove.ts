import { readFileSync } from 'node:fs';
import { ENGINE_API_VERSION, systemClock } from '@robustmq/core';
import type { Facts } from '../check.ts';
import { checks } from '../promises.ts';
import { isLong, type Stage } from '../run-check.ts';
import { runScorecard, type Scorecard } from '../scorecard.ts';
import { runInProcesses, type SharedRun } from './in-processes.ts';
import { measureRates, type Rates } from './rates.ts';
import { engineOf, STAGES, stageOf, tasksOf } from './stages.ts';
import type { Subject } from './subject.ts';

export interface ProveOptions {
  readonly only?: readonly string[] | undefined;
  readonly seed?: number;
  /** Without the checks that say that they take long. */
  readonly quick?: boolean;
  readonly rates?: boolean;
  /** How many share the checks; 1 unless given: all run in this one. With a service, too. */
  readonly processes?: number;
  onStep?(step: Step): void;
}

/** What is going on, for whoever watches. */
export type Step =
  | {
      readonly kind: 'result';
      readonly stage: Stage['kind'];
      readonly id: string;
      readonly result: Result;
      readonly done: number;
      readonly of: number;
    }
  | { readonly kind: 'rates' };

export type Result = 'passed' | 'failed' | 'not claimed';

export interface Proof {
  readonly subject: Subject;
  readonly seed: number;
  /** Versions of the contract, and of this suite. */
  readonly contract: number;
  readonly suite: string;
  readonly cards: readonly Scorecard[];
  readonly facts: Facts;
  /** Left out on request, and not counted. */
  readonly skipped: readonly string[];
  readonly rates: Rates | undefined;
  readonly seconds: number;
}

/** The engine alone, then behind a shard; then how fast it is. */
export async function prove(subject: Subject, options: ProveOptions = {}): Promise<Proof> {
  const { seed = 1, processes = 1, onStep = () => {} } = options;
  const { definition, config, url } = subject;
  const from = systemClock.monotonic();
  const skipped = options.quick === true ? checks.filter(isLong).map(({ id }) => id) : [];
  const only = (options.only ?? checks.map(({ id }) => id)).filter((id) => !skipped.includes(id));
  const of = tasksOf(only).length;
  let done = 0;
  const onResult = (stage: Stage['kind'], id: string, result: Result): void =>
    onStep({ kind: 'result', stage, id, result, done: ++done, of });
  // a service is one for all: what one check does to it, another would see
  const cards =
    processes > 1 && of > FEW && url !== undefined && subject.service === undefined
      ? await runInProcesses({ url, config, seed, only, processes, onResult })
      : await inTurn(subject, { seed, only, onResult });
  if (options.rates === true) onStep({ kind: 'rates' });
  const rates = options.rates === true ? await measureRates(definition, engineOf(subject)) : undefined;
  return {
    subject,
    seed,
    contract: ENGINE_API_VERSION,
    suite: suiteVersion(),
    cards,
    facts: Object.assign({}, ...cards.map(({ facts }) => facts)) as Facts,
    skipped,
    rates,
    seconds: (systemClock.monotonic() - from) / 1000,
  };
}

/** So many are done before other processes are there. */
const FEW = 8;

async function inTurn(
  subject: Subject,
  { seed, only, onResult }: Pick<SharedRun, 'seed' | 'only' | 'onResult'>,
): Promise<Scorecard[]> {
  const cards: Scorecard[] = [];
  for (const kind of STAGES)
    cards.push(
      await runScorecard(subject.definition, stageOf(kind, subject), {
        seed,
        only,
        onResult: (id, result) => onResult(kind, id, result),
      }),
    );
  return cards;
}

export function suiteVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return (manifest as { readonly version: string }).version; // our own manifest
}
