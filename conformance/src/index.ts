/**
 * The suite that proves a RobustMQ storage engine. See README.md for ten lines that run it.
 */
export type { Area, Check, EngineHarness, Facts, Log, Promised, ShardHarness, Workshop } from './check.ts';
export { defaultJobs } from './cli/arguments.ts';
export { formatFailure } from './cli/card.ts';
export { type Proof, type ProveOptions, prove, type Step } from './cli/prove.ts';
export { loadSubject, type Subject } from './cli/subject.ts';
export { type Failure, judge, type Verdict } from './cli/verdict.ts';
export { describePromises } from './describe.ts';
export type { FlakyLink, LinkFault } from './faults-net/flaky-link.ts';
export { type FlakyProxy, type FlakyProxyOptions, flakyProxy } from './faults-net/flaky-proxy.ts';
export { LinkFaults } from './faults-net/link-faults.ts';
export { checks, promises } from './promises.ts';
export { type RunOptions, runCheck, type Stage } from './run-check.ts';
export { formatScorecard, runScorecard, type Scorecard, type ScorecardOptions } from './scorecard.ts';
export { type ServiceConformanceOptions, serviceConformance } from './service-suite.ts';
export {
  openServiceShardWorld,
  openServiceWorld,
  type ServiceAddress,
  type ServiceCorner,
  type ServiceWorldOptions,
} from './service-world.ts';
export { type Settings, settingsOf } from './settings.ts';
export { openShardWorld, type ShardWorldOptions } from './shard-world.ts';
export {
  type ConformanceOptions,
  conformance,
  type EngineConformanceOptions,
  engineConformance,
  type Runner,
  type ShardConformanceOptions,
  type SuiteOptions,
  shardConformance,
} from './suite.ts';
export { type EngineWorld, openWorld, type WorldOptions } from './world.ts';
