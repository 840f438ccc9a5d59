import type {
  Clock,
  EngineCapabilities,
  EngineDefinition,
  FileSystem,
  Meta,
  OpenEngineInstance,
  Random,
  Shard,
  StorageEngine,
} from '@robustmq/core';
import type { FlakyLink } from './faults-net/flaky-link.ts';

export type Area =
  | 'order'
  | 'atomicity'
  | 'durability'
  | 'visibility'
  | 'fencing'
  | 'recovery'
  | 'ingest'
  | 'reads'
  | 'timestamps'
  | 'sealing'
  | 'deletion'
  | 'multiplexing'
  | 'limits'
  | 'leaks'
  | 'faults'
  | 'model'
  | 'process'
  | 'capabilities'
  | 'producers'
  | 'chains';

/** What a check is about, for people: the table behind docs/conformance.md. */
export interface Promised {
  /** `SHARD-017`. Stays with its promise for ever; a promise that goes leaves its number unused. */
  readonly id: string;
  readonly level: 'MUST' | 'SHOULD';
  readonly area: Area;
  /** What comes after `MUST`. */
  readonly promise: string;
  /** What breaks without it, and who learned that the hard way. */
  readonly why: string;
  /** A check that may take longer than the rest says how long, in ms. */
  readonly timeoutMs?: number;
}

/** A check throws this when only its run can tell that the engine does not make the promise: it does no I/O that could be failed, say. */
export class NotClaimed extends Error {}

/** A failure, and the seed that shows it again: not that of the run where a check draws seeds of its own. */
export class FailedWithSeed extends Error {
  readonly seed: number;

  constructor(message: string, seed: number, options: ErrorOptions) {
    super(message, options);
    this.seed = seed;
  }
}

/** What checks count beside passing, for the card. */
export interface Facts {
  /** I/O steps at which the engine was crashed or failed, and how many there were; `n/a`: its I/O does not go through `ctx.fs`. */
  readonly crashPoints?: { readonly tried: number; readonly of: number } | 'n/a';
  /** Different disks that power cuts at these steps may leave, by the choices made of what survives. */
  readonly powerCutDisks?: { readonly tried: number; readonly of: number };
  /** Steps at which the process was killed, the next one started and closed, and the power cut then; of those after which something was not synced. */
  readonly cutsAfterKills?: { readonly tried: number; readonly of: number };
  /** Ways to cut or garble the last, unproven group, and those tried. */
  readonly tornTails?: { readonly tried: number; readonly of: number } | 'n/a';
  /** Choices of which sectors of that group reached the disk, and those tried. */
  readonly tornSectors?: { readonly tried: number; readonly of: number } | 'n/a';
  /** Bytes of which one bit was turned, and how many there are: with sealed segments, and with open ones. */
  readonly bitFlips?: { readonly tried: number; readonly of: number } | 'n/a';
  readonly bitFlipsOpen?: { readonly tried: number; readonly of: number } | 'n/a';
  /** I/O steps that were made to fail, each in a run of its own, over all kinds of failure; `n/a`: there is no seam to fail them at. */
  readonly faultSteps?: { readonly tried: number; readonly of: number } | 'n/a';
  /** Reads, opens and looks at sizes and names that were made to fail one at a time, after a restart on what was acknowledged. */
  readonly failedReads?: { readonly tried: number; readonly of: number } | 'n/a';
  /** Requests that were held back, or their answers, until the engine had given them up, and how many it makes. */
  readonly lateRequests?: { readonly tried: number; readonly of: number };
  /** There when files were changed past `ctx.fs`, while others were changed through it: steps that nobody could fail are in no count. */
  readonly faultsPastCtxFs?: string;
  /** How one of 200 segments was made to fail beside the others. */
  readonly crowdFault?: string;
  /** Segments that lay idle beside each other in one engine; with words where a descriptor for each would not have been seen. */
  readonly idleSegments?: number | string;
  /** Commands that the model ran against the oracle. */
  readonly modelCommands?: number;
  /** Processes killed with -9 under load, and the calls whose answers were checked; `n/a`: no child can be started (`module` is not given). */
  readonly kills?: { readonly rounds: number; readonly calls: number } | 'n/a';
}

/**
 * `engine`: of an engine alone. `log`: of whatever appends and reads, so it is checked of an engine's segments and again of a shard above
 * them. `shard`: of a shard alone.
 */
export type Check = Promised &
  (
    | { readonly subject: 'engine'; readonly claimed?: Claim; run(trial: EngineTrial): Promise<void> }
    | { readonly subject: 'log'; readonly claimed?: Claim; run(trial: LogTrial): Promise<void> }
    | { readonly subject: 'shard'; readonly claimed?: Claim; run(trial: ShardTrial): Promise<void> }
  );

/** Whether the promise is made at all: by what the engine declares, and by nothing else. */
export type Claim = (capabilities: EngineCapabilities, harness: { readonly canCrash: boolean }) => boolean;

export const durable: Claim = ({ durability }) => durability !== 'none';
export const appends: Claim = ({ append }) => append;
export const appendsDurably: Claim = ({ append, durability }) => append && durability !== 'none';
export const survivesCrashes: Claim = (capabilities, { canCrash }) =>
  canCrash && appendsDurably(capabilities, { canCrash });

export interface EngineTrial {
  readonly definition: EngineDefinition;
  readonly harness: EngineHarness;
  readonly random: Random;
  /** Of the run: what prints and replays random choices that are not `random`'s. */
  readonly seed: number;
  /** How much longer than usual checks that look for something by chance may look: 1 is usual. */
  readonly effort: number;
  note(facts: Facts): void;
  /** Of `harness`: another one after a reopen. */
  readonly engine: StorageEngine;
}

export interface LogTrial {
  readonly definition: EngineDefinition;
  readonly log: Log;
  readonly random: Random;
}

export interface ShardTrial {
  readonly definition: EngineDefinition;
  readonly harness: ShardHarness;
  readonly random: Random;
  readonly seed: number;
  readonly effort: number;
  note(facts: Facts): void;
  readonly shard: Shard;
}

/** One engine instance on a medium of its own. */
export interface EngineHarness {
  /** Open, and behind core's wrapper. Another object after each reopen. */
  readonly engine: StorageEngine;
  /** True when `reopen({crash: true})` works: what was open is abandoned, can do nothing more to the medium, and was not closed. */
  readonly canCrash: boolean;
  reopen(options: { readonly crash: boolean }): Promise<void>;
  /** Closes, and removes what is left. */
  dispose(): Promise<void>;
  /** For checks that make worlds of their own. With a `link` their medium is the service's, reached without it: `dir` alone says nothing of the data. */
  readonly workshop?: Workshop;
  /**
   * Of an engine that talks to a service: all its connections go through it, and the checks of I/O faults spoil its requests. They call `reopen`
   * again where it has failed because of that.
   */
  readonly link?: FlakyLink | undefined;
}

/** How the engine under test is opened on other media than the harness's own. */
export interface Workshop {
  readonly definition: EngineDefinition;
  /** The settings that `open` gives an instance on this Meta, for who opens one elsewhere. */
  configOn(meta: Meta): unknown;
  /** What of `meta` is the instance's own, as it is given to the engine. */
  partOf(meta: Meta): Meta;
  /** What a child process imports to get at the engine: a URL. `undefined`: nobody has said, no child can be started. */
  readonly module: string | undefined;
  /** Opens an instance on what `dir` and `meta` hold. The caller closes it; `dir` stays. Its lock goes with it, or with `unlock`. */
  open(options: {
    readonly dir: string;
    readonly meta: Meta;
    readonly fs?: FileSystem;
    readonly clock?: Clock;
    /** Settings; those that go with `meta` unless given. */
    readonly config?: unknown;
    /** Of the node that opens it; 1 unless it is another one's. */
    readonly node?: number;
  }): Promise<{ readonly instance: OpenEngineInstance; unlock(): Promise<void> }>;
}

/** One shard whose segments lie on the engine under test. */
export interface ShardHarness {
  /** The only shard of a topic. Another object after each reopen. */
  readonly shard: Shard;
  readonly canCrash: boolean;
  reopen(options: { readonly crash: boolean }): Promise<void>;
  /**
   * Another owner takes the shard over, on the same engine, while the one before still runs and can only not reach Meta any more.
   * @returns the shard as the one before has it
   */
  takeOver?(): Promise<Shard>;
  dispose(): Promise<void>;
}

/** The least that an engine's segments and a shard have in common. */
export interface Log {
  readonly canCrash: boolean;
  /** Offsets are given in the order of the calls. */
  append(
    batches: readonly Uint8Array[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<{ readonly base: number; readonly next: number }>;
  ready(bytes: number): Promise<void> | undefined;
  read(from: number, maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly next: number }>;
  offsets(): Promise<{ readonly start: number; readonly committed: number }>;
  offsetForTimestamp(timestamp: number): Promise<number | undefined>;
  /** Afterwards the log goes on at its end. */
  reopen(options: { readonly crash: boolean }): Promise<void>;
}
