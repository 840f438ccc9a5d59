import { readFileSync } from 'node:fs';
import { ENGINE_API_VERSION, systemClock } from '@robustmq/core';
import type { EngineHarness, Facts, ShardHarness } from '../check.ts';
import { checks } from '../promises.ts';
import { belongsOn, isLong, type Stage } from '../run-check.ts';
import { runScorecard, type Scorecard } from '../scorecard.ts';
import { openServiceShardWorld, openServiceWorld } from '../service-world.ts';
import { openShardWorld } from '../shard-world.ts';
import { openWorld } from '../world.ts';
import { measureRates, type Rates } from './rates.ts';
import type { Subject } from './subject.ts';

export interface ProveOptions {
  readonly only?: readonly string[] | undefined;
  readonly seed?: number;
  /** Without the checks that say that they take long. */
  readonly quick?: boolean;
  readonly rates?: boolean;
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
  const { seed = 1, onStep = () => {} } = options;
  const { definition } = subject;
  const from = systemClock.monotonic();
  const open = openersOf(subject);
  const stages: Stage[] = [
    { kind: 'engine', open: open.engine },
    { kind: 'shard', open: open.shard },
  ];
  const skipped = options.quick === true ? checks.filter(isLong).map(({ id }) => id) : [];
  const wanted = (options.only ?? checks.map(({ id }) => id)).filter((id) => !skipped.includes(id));
  const of = stages.reduce(
    (sum, { kind }) => sum + checks.filter((check) => belongsOn(check, kind) && wanted.includes(check.id)).length,
    0,
  );
  let done = 0;
  const cards: Scorecard[] = [];
  for (const stage of stages)
    cards.push(
      await runScorecard(definition, stage, {
        seed,
        only: wanted,
        onResult: (id, result) => onStep({ kind: 'result', stage: stage.kind, id, result, done: ++done, of }),
      }),
    );
  if (options.rates === true) onStep({ kind: 'rates' });
  const rates = options.rates === true ? await measureRates(definition, open.engine) : undefined;
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

interface Openers {
  engine(): Promise<EngineHarness>;
  shard(): Promise<ShardHarness>;
}

function openersOf({ definition, config, url, service }: Subject): Openers {
  const module = url === undefined ? {} : { module: url };
  if (service === undefined) {
    const world = { config, ...module };
    return { engine: () => openWorld(definition, world), shard: () => openShardWorld(definition, world) };
  }
  const world = { service: service.address, settings: service.settings, ...module };
  return { engine: () => openServiceWorld(definition, world), shard: () => openServiceShardWorld(definition, world) };
}

export function suiteVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return (manifest as { readonly version: string }).version; // our own manifest
}
