import type { EngineDefinition } from '@robustmq/core';
import type { EngineHarness, ShardHarness } from './check.ts';
import { checks } from './promises.ts';
import { commandFor } from './run-again.ts';
import { belongsOn, isClaimed, isLong, type RunOptions, runCheck, type Stage } from './run-check.ts';
import { type Settings, settingsOf } from './settings.ts';
import { openShardWorld } from './shard-world.ts';
import { openWorld, type WorldOptions } from './world.ts';

/** What any test runner has. */
export interface Runner {
  describe(name: string, define: () => void): unknown;
  /** The last one for runners with a time limit of their own that can be told a longer one so; others ignore it. */
  it(name: string, run: () => Promise<void>, limitMs: number): unknown;
}

export interface SuiteOptions extends RunOptions {
  /** Without the checks that take long: every fault, power cuts, models, kills. For runs between two commits; nothing is proven by it. */
  readonly quick?: boolean;
}

export interface ConformanceOptions extends Runner, SuiteOptions, Omit<WorldOptions, 'config'> {
  readonly engine: EngineDefinition;
  /** Of the instance; what is missing has the defaults of the engine's schema. */
  readonly settings?: Settings;
}

/**
 * Defines all checks of an engine that lives on this machine: of it alone, and of a shard above it. `module` is what a child process
 * imports to get at the engine (`import.meta.resolve('../src/index.ts')`): without it nothing can be killed with -9.
 */
export function conformance(options: ConformanceOptions): void {
  const { engine, settings, module, adjust } = options;
  const world: WorldOptions = {
    config: settingsOf(engine, settings),
    ...(module === undefined ? {} : { module }),
    ...(adjust === undefined ? {} : { adjust }),
  };
  const command = commandFor({ module, config: settings === undefined ? undefined : '<settings>' });
  engineConformance({ command, ...options, open: () => openWorld(engine, world) });
  shardConformance({ command, ...options, open: () => openShardWorld(engine, world) });
}

export interface EngineConformanceOptions extends Runner, SuiteOptions {
  readonly engine: EngineDefinition;
  /** A fresh, empty instance behind core's wrapper (`openWorld`, or the author's own). */
  open(): Promise<EngineHarness>;
}

export interface ShardConformanceOptions extends Runner, SuiteOptions {
  readonly engine: EngineDefinition;
  /** A fresh shard whose segments lie on a fresh instance. */
  open(): Promise<ShardHarness>;
}

/** Defines the checks of an engine by itself. What it does not claim is not defined. */
export function engineConformance(options: EngineConformanceOptions): void {
  define(`engine ${options.engine.name}`, options, { kind: 'engine', open: () => options.open() });
}

/** Defines the checks of a shard above an engine. */
export function shardConformance(options: ShardConformanceOptions): void {
  define(`shard on ${options.engine.name}`, options, { kind: 'shard', open: () => options.open() });
}

function define(
  title: string,
  options: Runner & SuiteOptions & { readonly engine: EngineDefinition },
  stage: Stage,
): void {
  const { describe, it, engine } = options;
  const defined = checks.filter(
    (check) =>
      belongsOn(check, stage.kind) &&
      !(options.quick === true && isLong(check)) &&
      isClaimed(check, engine, stage.kind, { canCrash: true }),
  );
  // runners take one without tests for a mistake
  if (defined.length === 0) return;
  describe(title, () => {
    for (const check of defined) {
      const run = async (): Promise<void> => {
        await runCheck(check, engine, stage, options);
      };
      // the check's own limit is told first: it says which promise hangs
      it(
        `${check.id} ${check.level} ${check.promise}`,
        run,
        2 * (check.timeoutMs ?? options.timeoutMs ?? 20_000) + 5000,
      );
    }
  });
}
