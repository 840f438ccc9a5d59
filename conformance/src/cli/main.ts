/** The command line: what `npx @robustmq/conformance` runs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeError, RobustError } from '@robustmq/core';
import { parseArguments, USAGE, UsageError } from './arguments.ts';
import { formatCard } from './card.ts';
import { EndedByEngine, stopProcesses } from './in-processes.ts';
import { tellWhatIsLeft } from './left.ts';
import { formatMarkdown } from './markdown.ts';
import { Progress } from './progress.ts';
import { type Proof, prove, suiteVersion } from './prove.ts';
import { loadSubject } from './subject.ts';
import { judge, nothingRan, type Verdict } from './verdict.ts';

const FAILED = 1;
const WRONG = 2;
const INTERRUPTED = 130;

/** Runs it with the words of a command line, and ends the process. */
export async function main(words: readonly string[]): Promise<void> {
  // everything the checks make lies in here, so that it goes even when a check is stopped in the middle
  const scratch = scratchFolder();
  if (scratch === undefined) return;
  process.env.TMPDIR = scratch;
  const clean = (): void => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      process.off('exit', cutShort);
      process.stderr.write('\nstopped\n');
      void stopProcesses().finally(() => {
        clean();
        process.exit(INTERRUPTED);
      });
    });
  // an engine that ends the process must not look like one that passed
  const cutShort = (): void => {
    clean();
    process.stderr.write(CUT_SHORT);
    process.exitCode = WRONG;
  };
  process.once('exit', cutShort);
  // standard output is the card's alone: what an engine prints would spoil it for programs
  const card = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  const stdout = { write: (text: string) => card(text) };
  // an engine may wait for nothing but one of its timers, and those keep no process alive
  const awake = setInterval(() => {}, 60_000);
  process.exitCode = await command(words, { cwd: process.cwd(), stdout, stderr: process.stderr });
  clearInterval(awake);
  process.off('exit', cutShort);
  clean();
  endSoon();
}

const CUT_SHORT =
  'robust-conformance: the process was ended before there was a card: the engine called process.exit, or threw where nobody ' +
  'catches it (in a timer, or as a rejection that nobody awaits). Nothing is proven.\n';

function scratchFolder(): string | undefined {
  try {
    return mkdtempSync(join(tmpdir(), 'robust-conformance-'));
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `robust-conformance: nothing can be written below ${tmpdir()}: ${said}. Choose a folder with TMPDIR\n`,
    );
    process.exitCode = WRONG;
    return undefined;
  }
}

export interface Terminal {
  readonly cwd: string;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
}

/** @returns the exit code */
export async function command(words: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await run(words, terminal);
  } catch (error) {
    const told = error instanceof UsageError ? `${error.message}\n\n${USAGE}` : `${textOf(error)}\n`;
    terminal.stderr.write(`robust-conformance: ${told}`);
    return WRONG;
  }
}

async function run(words: readonly string[], { cwd, stdout, stderr }: Terminal): Promise<number> {
  const given = parseArguments(words);
  if (given === 'help' || given === 'version') {
    stdout.write(given === 'help' ? USAGE : `${suiteVersion()}\n`);
    return 0;
  }
  const subject = await loadSubject(given.module, { cwd, config: given.config, service: given.service });
  const progress = new Progress(stderr);
  const proof = await prove(subject, {
    only: given.only,
    seed: given.seed,
    quick: given.quick,
    processes: given.jobs,
    // a disk is nothing to hold a service against
    rates: given.only === undefined && given.service === undefined,
    onStep: (step) => progress.show(step),
  });
  progress.clear();
  const verdict = judge(proof);
  const write = { text: formatCard, json: formatJson, markdown: formatMarkdown }[given.output];
  stdout.write(write(proof, verdict));
  if (given.output !== 'text' && verdict.failures.length > 0) stderr.write(formatCard(proof, verdict));
  if (nothingRan(verdict)) return WRONG;
  // a SHOULD that failed, alone, is no reason to fail a build
  return verdict.failures.some(({ level }) => level === 'MUST') ? FAILED : 0;
}

/** The card for programs. */
function formatJson(proof: Proof, verdict: Verdict): string {
  const { subject, cards, ...rest } = proof;
  const { name, version, capabilities } = subject.definition;
  const card = {
    engine: { name, version, source: subject.source, capabilities },
    ...rest,
    stages: cards.map(({ stage, passed, seconds }) => ({ stage, passed: passed.length, seconds })),
    ...verdict,
    facts: proof.facts,
  };
  return `${JSON.stringify(card, null, 2)}\n`;
}

/** The process ends by itself unless the engine has left something behind: that is named, and does not hold up CI. */
function endSoon(): void {
  setTimeout(() => {
    tellWhatIsLeft();
    process.exit();
  }, 3000).unref();
}

function textOf(error: unknown): string {
  if (error instanceof RobustError) return describeError(error);
  if (error instanceof EndedByEngine) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
