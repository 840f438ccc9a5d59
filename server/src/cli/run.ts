import { describeError, RobustError, toldError } from '@robustmq/core';
import { ConfigError, didYouMean } from '@robustmq/core/config';
import { VERSION } from '../version.ts';
import { overview, verbHelp } from './help.ts';
import { findVerb, parseArguments, usage } from './parse.ts';
import { EXIT, type Io, type Verb } from './verb.ts';
import { VERBS } from './verbs.ts';

/** Runs one command and returns its exit code. */
export async function runCommand(words: readonly string[], io: Io): Promise<number> {
  const json = words.includes('--json');
  try {
    return await dispatch(words, io);
  } catch (error) {
    io.error(json ? `${JSON.stringify(errorJson(error))}\n` : errorText(error));
    return exitCode(error);
  }
}

async function dispatch(words: readonly string[], io: Io): Promise<number> {
  const [first] = words;
  if (first === '--version' || first === '-v') {
    io.out(`${VERSION}\n`);
    return EXIT.ok;
  }
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    io.out(overview(VERBS));
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  const found = findVerb(words, VERBS);
  if (found === undefined) return unknownVerb(words, io);
  const { operands, flags, help } = parseArguments(found.verb, found.rest);
  if (help) {
    io.out(verbHelp(found.verb));
    return EXIT.ok;
  }
  return found.verb.run({ operands, flags, io });
}

function unknownVerb(words: readonly string[], io: Io): number {
  const [first = '', second] = words;
  const group = VERBS.filter((verb) => verb.name.startsWith(`${first} `));
  if (group.length > 0 && (second === undefined || second.startsWith('-'))) {
    io.out(overview(group as readonly Verb[]));
    return words.includes('--help') || words.includes('-h') ? EXIT.ok : EXIT.usage;
  }
  const given = group.length > 0 ? `${first} ${second}` : first;
  const names = group.length > 0 ? group.map((verb) => verb.name) : VERBS.map((verb) => verb.name.split(' ')[0] ?? '');
  throw usage(undefined, `there is no verb ${JSON.stringify(given)}`, didYouMean(given, new Set(names)));
}

function exitCode(error: unknown): number {
  if (!(error instanceof RobustError)) return EXIT.internal;
  const { code } = error as RobustError;
  if (code === 'USAGE') return EXIT.usage;
  if (code.startsWith('CONFIG_') || code.startsWith('PLUGIN_')) return EXIT.config;
  if (code === 'START_INTERRUPTED') return EXIT.interrupted;
  return code === 'ADMIN_UNREACHABLE' ? EXIT.unreachable : EXIT.failed;
}

/** One line an error: what, where, what to do; then how to learn more. */
function errorText(error: unknown): string {
  if (error instanceof ConfigError && error.name === 'ConfigError') {
    const { issues, message } = error as ConfigError;
    const lines = message.split('\n').map((line, i) => `${issues[i]?.code ?? ''} ${line}`);
    return `${lines.join('\n')}\n`;
  }
  if (!(error instanceof RobustError))
    return `INTERNAL: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`;
  return `${describeError(error)}\n`;
}

function errorJson(error: unknown): object {
  if (!(error instanceof RobustError)) return { code: 'INTERNAL', message: String(error) };
  const issues =
    error instanceof ConfigError && error.name === 'ConfigError' ? { issues: (error as ConfigError).issues } : {};
  return { ...toldError(error as RobustError), ...issues };
}
