import type { EngineDefinition } from '@robustmq/core';
import type { EngineHarness, ShardHarness } from './check.ts';
import { checks } from './promises.ts';
import { belongsOn, type RunOptions, runCheck, type Stage } from './run-check.ts';

/** What any test runner has. */
export interface Runner {
  describe(name: string, define: () => void): void;
  it(name: string, run: () => Promise<void>): void;
}

export interface EngineConformanceOptions extends Runner, RunOptions {
  readonly engine: EngineDefinition;
  /** A fresh, empty instance behind core's wrapper (`openWorld`, or the author's own). */
  open(): Promise<EngineHarness>;
}

export interface ShardConformanceOptions extends Runner, RunOptions {
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
  options: Runner & RunOptions & { readonly engine: EngineDefinition },
  stage: Stage,
): void {
  const { describe, it, engine } = options;
  describe(title, () => {
    for (const check of checks) {
      if (!belongsOn(check, stage.kind)) continue;
      if (check.claimed?.(engine.capabilities, { canCrash: true }) === false) continue;
      it(`${check.id} ${check.level} ${check.promise}`, async () => {
        await runCheck(check, engine, stage, options);
      });
    }
  });
}
