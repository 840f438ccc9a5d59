/** One of the processes that share the checks of a run: does what it is told, check by check, until its parent lets go of it. */
import { type EngineDefinition, systemClock } from '@robustmq/core';
import { type Facts, FailedWithSeed } from '../check.ts';
import { runScorecard } from '../scorecard.ts';
import type { Settings } from '../settings.ts';
import { tellWhatIsLeft } from './left.ts';
import { stageOf, type Task } from './stages.ts';
import { messageOf } from './verdict.ts';

/** The first message of the parent, and those that follow it. */
export type ToChild = Begin | Task;

export interface Begin {
  /** What the engine is imported from. */
  readonly url: string;
  readonly config: Settings;
  readonly seed: number;
}

export type FromChild = Outcome;

export interface Outcome {
  readonly result: 'passed' | 'failed' | 'not claimed';
  readonly facts: Facts;
  /** The error, and what caused it. */
  readonly seen: readonly Seen[];
  /** That shows it again. */
  readonly seed: number;
}

/** What is left of an error on its way between processes. */
export interface Seen {
  readonly message: string;
  readonly stack: string;
}

const LEFT_MS = 2500;

let begun: Begin & { readonly definition: EngineDefinition };
let turn = Promise.resolve();
process.on('message', (message: ToChild) => {
  turn = turn.then(() => ('url' in message ? begin(message) : check(message)));
});
process.once('disconnect', () => {
  systemClock.timer(LEFT_MS, () => {
    tellWhatIsLeft();
    process.exit();
  });
});

async function begin({ url, config, seed }: Begin): Promise<void> {
  // what an engine's module exports; its parent has looked at it
  const { default: definition } = (await import(url)) as { readonly default: EngineDefinition };
  begun = { definition, config, url, seed };
}

async function check({ kind, id }: Task): Promise<void> {
  const { definition, config, url, seed } = begun;
  const stage = stageOf(kind, { definition, config, url });
  const { passed, failed, facts } = await runScorecard(definition, stage, { seed, only: [id] });
  const [failure] = failed;
  const result = failure === undefined ? (passed.length > 0 ? 'passed' : 'not claimed') : 'failed';
  const again = failure?.error instanceof FailedWithSeed ? failure.error.seed : seed;
  const outcome: FromChild = { result, facts, seen: seenIn(failure?.error), seed: again };
  process.send?.(outcome);
}

function seenIn(error: unknown): Seen[] {
  const seen: Seen[] = [];
  for (let at = error; at instanceof Error; at = at.cause) seen.push({ message: messageOf(at), stack: at.stack ?? '' });
  return seen;
}
