import { describeError, isStorageError, RobustError } from '@robustmq/core';
import { type Facts, FailedWithSeed } from '../check.ts';
import { checks, promises } from '../promises.ts';
import { commandFor, runAgain } from '../run-again.ts';
import { linesOf } from './frames.ts';
import type { Proof } from './prove.ts';

/** A check that failed, told so that it leads to the line. */
export interface Failure {
  readonly id: string;
  readonly stage: string;
  readonly level: 'MUST' | 'SHOULD';
  readonly promise: string;
  readonly why: string;
  readonly seen: string;
  /** The lines of the engine that the error came from; of the suite, which asked, if it came from none. */
  readonly at: readonly string[];
  /** Types that run just this again. */
  readonly run: string;
}

/** What it all comes to. */
export interface Verdict {
  readonly passed: readonly string[];
  readonly failures: readonly Failure[];
  readonly notClaimed: readonly string[];
  /** Checks that this run did not ask for: with any, it is a part of the suite and no proof. */
  readonly leftOut: readonly string[];
  /** No MUST failed, and some were kept: `false` when nothing was asked that the engine claims. */
  readonly allMustPassed: boolean;
  /** What was counted, in words. */
  readonly facts: readonly (readonly [what: string, count: string])[];
  readonly durability: { readonly claimed: string; readonly shown: string };
}

export function judge(proof: Proof): Verdict {
  const failures = proof.cards.flatMap(({ stage, failed }) =>
    failed.map(({ id, error }) => failureOf(proof, stage, id, error)),
  );
  const failed = new Set(failures.map(({ id }) => id));
  const passed = unique(proof.cards.flatMap((card) => card.passed)).filter((id) => !failed.has(id));
  const notClaimed = unique(proof.cards.flatMap((card) => card.notClaimed)).filter(
    (id) => !failed.has(id) && !passed.includes(id),
  );
  return {
    passed,
    failures,
    notClaimed,
    leftOut: checks.map(({ id }) => id).filter((id) => ![...failed, ...passed, ...notClaimed].includes(id)),
    allMustPassed: passed.length > 0 && !failures.some(({ level }) => level === 'MUST'),
    facts: Object.entries(proof.facts).map(
      ([name, count]) => [inWords(name), `${countInWords(count)}${theRest(name, count)}`] as const,
    ),
    durability: {
      claimed: proof.subject.definition.capabilities.durability,
      shown: shown(proof, failures),
    },
  };
}

/** Of what was asked the engine claims nothing: neither good nor bad is known of it. */
export function nothingRan({ passed, failures }: Verdict): boolean {
  return passed.length + failures.length === 0;
}

function failureOf(proof: Proof, stage: string, id: string, error: Error): Failure {
  const promise = promises.find((each) => each.id === id);
  const cause = error.cause instanceof Error ? error.cause : error;
  return {
    id,
    stage,
    level: promise?.level ?? 'MUST',
    promise: promise?.promise ?? '',
    why: promise?.why ?? '',
    seen: seenIn(cause),
    at: linesOf(cause, proof.subject.url),
    run: runLine(proof, id, error),
  };
}

function runLine({ subject, seed }: Proof, id: string, error: Error): string {
  const command = commandFor({
    module: subject.module,
    config: subject.configFile,
    service: subject.service?.address,
  });
  return runAgain(command, {
    id,
    // what draws seeds of its own names the one that failed
    seed: error instanceof FailedWithSeed ? error.seed : seed,
    effort: Number(process.env.ROBUST_CONFORMANCE_EFFORT ?? 1),
  });
}

/** The message, and those of what caused it. */
function seenIn(error: Error): string {
  const seen: string[] = [];
  for (let at: unknown = error; at instanceof Error && seen.length < 5; at = at.cause) {
    const text = messageOf(at);
    if (!seen.some((before) => before.includes(text))) seen.push(text);
  }
  return seen.join('\n  because ');
}

/** With all that one of ours says beside its message. */
export function messageOf(error: Error): string {
  return error instanceof RobustError ? `${describeError(error)}${outcomeOf(error)}` : error.message;
}

function outcomeOf(error: unknown): string {
  return isStorageError(error) ? ` [outcome ${error.outcome}]` : '';
}

function shown(proof: Proof, failures: readonly Failure[]): string {
  const { durability } = proof.subject.definition.capabilities;
  if (durability === 'none') return 'n/a: it promises nothing past the process';
  const durable = promises.filter(({ area }) => SHOWING.has(area)).map(({ id }) => id);
  const broken = unique(failures.map(({ id }) => id).filter((id) => durable.includes(id)));
  if (broken.length > 0) return `NOT shown: ${broken.join(', ')} failed`;
  const { crashPoints, kills } = proof.facts;
  const ran = proof.cards.flatMap(({ passed }) => passed).filter((id) => durable.includes(id)).length;
  if (ran === 0) return 'not looked at in this run';
  const ways = [
    typeof crashPoints === 'object' ? `cut off at ${countInWords(crashPoints)} steps` : undefined,
    typeof kills === 'object' ? `killed with -9 in ${kills.rounds} rounds` : undefined,
  ].filter((way) => way !== undefined);
  return ways.length === 0 ? 'by abandoned instances alone: nothing was cut off, nobody was killed' : ways.join(', ');
}

/** Areas whose checks show that what was acknowledged stays. */
const SHOWING: ReadonlySet<string> = new Set(['durability', 'recovery', 'faults', 'process', 'model']);

/** The name of a fact as people read it. */
export function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** `n of n` for what was tried of what there is, the names of other numbers behind them. */
export function countInWords(count: Facts[keyof Facts] | unknown): string {
  if (typeof count !== 'object' || count === null) return String(count);
  const { tried, of, ...more } = count as Readonly<Record<string, unknown>>; // numbers by name, see Facts
  const first = of === undefined ? [] : [`${tried} of ${of}`];
  return [...first, ...Object.entries(more).map(([name, value]) => `${value} ${inWords(name)}`)].join(', ');
}

/** Places that are tried one by one, chosen by the seed, as many as there is time for; and the check that does it. */
const EACH_PLACE: Readonly<Record<string, string>> = {
  tornTails: 'SHARD-220',
  bitFlips: 'SHARD-222',
  bitFlipsOpen: 'SHARD-223',
  failedReads: 'SHARD-287',
  lateRequests: 'SHARD-296',
  cutsAfterKills: 'SHARD-297',
};

/** How those that there was no time for are tried, too. */
function theRest(name: string, count: unknown): string {
  const id = EACH_PLACE[name];
  if (id === undefined || typeof count !== 'object' || count === null) return '';
  const { tried, of } = count as { readonly tried: number; readonly of: number }; // see Facts
  return tried < of ? ` (all of them: ROBUST_CONFORMANCE_EFFORT=1000 and --only ${id})` : '';
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}
