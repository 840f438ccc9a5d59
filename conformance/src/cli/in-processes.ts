import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { systemClock } from '@robustmq/core';
import { type Facts, FailedWithSeed } from '../check.ts';
import { checks } from '../promises.ts';
import { isLong, type Stage } from '../run-check.ts';
import { type Scorecard, withFacts } from '../scorecard.ts';
import type { Begin, FromChild, Outcome, Seen, ToChild } from './checking-child.ts';
import { STAGES, type Task, tasksOf } from './stages.ts';

export interface SharedRun extends Begin {
  readonly only: readonly string[];
  readonly processes: number;
  onResult(kind: Stage['kind'], id: string, result: Outcome['result']): void;
}

const CHILD = new URL(import.meta.url.endsWith('.ts') ? './checking-child.ts' : './checking-child.js', import.meta.url);
/** A process that has nothing more to do ends by itself; what an engine has left behind in it keeps it no longer. */
const ENDS_WITHIN_MS = 3000;

/**
 * Runs the checks in several processes, each of which takes the next when it has done one: what a check says of descriptors, timers, memory and unheard
 * rejections is of its own process, as it is where all run one after the other.
 * @throws when the engine can't be loaded there, or ends a process
 */
export async function runInProcesses(run: SharedRun): Promise<Scorecard[]> {
  const tasks = longestFirst(tasksOf(run.only));
  const todo = tasks.values();
  const done: Done[] = [];
  const count = Math.min(run.processes, tasks.length);
  const children = Array.from({ length: count }, () => new Child(run));
  try {
    await Promise.all(
      children.map(async (child) => {
        for (const task of todo) {
          const from = systemClock.monotonic();
          const outcome = await child.check(task);
          done.push({ ...task, outcome, seconds: (systemClock.monotonic() - from) / 1000 });
          run.onResult(task.kind, task.id, outcome.result);
        }
        await child.end();
      }),
    );
  } finally {
    await Promise.all(children.map((child) => child.kill()));
  }
  return STAGES.map((stage) => cardOf(stage, done));
}

interface Done extends Task {
  readonly outcome: Outcome;
  readonly seconds: number;
}

/** In the order of the checks, whoever came first. */
function cardOf(stage: Stage['kind'], all: readonly Done[]): Scorecard {
  const place = new Map(checks.map(({ id }, i) => [id, i]));
  const done = all.filter(({ kind }) => kind === stage).sort((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0));
  const of = (result: Outcome['result']): Done[] => done.filter(({ outcome }) => outcome.result === result);
  return {
    stage,
    passed: of('passed').map(({ id }) => id),
    failed: of('failed').map(({ id, outcome }) => ({ id, error: failureOf(outcome) })),
    notClaimed: of('not claimed').map(({ id }) => id),
    facts: done.reduce((facts: Facts, { outcome }) => withFacts(facts, outcome.facts), {}),
    seconds: done.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

/** The long ones first: one that begins last would be waited for alone. */
function longestFirst(tasks: readonly Task[]): Task[] {
  const long = new Set(checks.filter(isLong).map(({ id }) => id));
  return tasks.toSorted((a, b) => Number(long.has(b.id)) - Number(long.has(a.id)));
}

/** Its message says all there is to say. */
export class EndedByEngine extends Error {}

/** Ends those that are there now, whatever they do: when it settles, none writes any more. */
export async function stopProcesses(): Promise<void> {
  await Promise.all([...living].map((child) => child.kill()));
}

const living = new Set<Child>();

class Child {
  readonly #process: ChildProcess;
  readonly #ended: Promise<never>;
  #at = 'it was loaded';

  constructor({ url, config, seed }: SharedRun) {
    // standard output is the card's alone
    this.#process = fork(CHILD, [], { stdio: ['ignore', 2, 2, 'ipc'], serialization: 'advanced' });
    this.#ended = new Promise((_, reject) => {
      this.#process.once('error', reject);
      this.#process.once('exit', (code, signal) =>
        reject(
          new EndedByEngine(
            `a process was ended before there was a card (${signal ?? `exit code ${code}`}), while ${this.#at}: the engine called ` +
              'process.exit, or threw where nobody catches it (in a timer, or as a rejection that nobody awaits). Nothing is proven.',
          ),
        ),
      );
    });
    living.add(this);
    this.#ended.catch(() => living.delete(this));
    this.#send({ url, config, seed });
  }

  async check(task: Task): Promise<Outcome> {
    this.#at = `${task.id} ran`;
    this.#send(task);
    const answer = once(this.#process, 'message') as Promise<[FromChild]>;
    const [outcome] = await Promise.race([answer, this.#ended]);
    return outcome;
  }

  /** @throws nothing: what keeps it alive is told, and it is killed */
  async end(): Promise<void> {
    const gone = this.#ended.catch(() => {});
    this.#process.disconnect();
    const late = new AbortController();
    const timer = systemClock.timer(ENDS_WITHIN_MS, () => late.abort());
    await Promise.race([gone, once(late.signal, 'abort')]);
    timer.cancel();
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended.catch(() => {});
  }

  #send(message: ToChild): void {
    // whether it arrives shows in the answer
    this.#process.send(message, () => {});
  }
}

/** As it was thrown there, but for the classes of what caused it. */
function failureOf({ seen, seed }: Outcome): FailedWithSeed {
  const [first, ...causes] = seen;
  const failure = new FailedWithSeed(first?.message ?? '', seed, causesOf(causes));
  failure.stack = first?.stack ?? '';
  return failure;
}

function causesOf([first, ...more]: readonly Seen[]): ErrorOptions {
  if (first === undefined) return {};
  const cause = new Error(first.message, causesOf(more));
  cause.stack = first.stack;
  return { cause };
}
