import { RobustError } from '@robustmq/core';
import { didYouMean } from '@robustmq/core/config';
import { type Flag, Flags, type Verb } from './verb.ts';

export interface Parsed {
  readonly operands: readonly string[];
  readonly flags: Flags;
  readonly help: boolean;
}

/** The verb that the words begin with, longest name first. */
export function findVerb(words: readonly string[], verbs: readonly Verb[]): { verb: Verb; rest: string[] } | undefined {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const verb = verbs.find((candidate) => candidate.name === name);
    if (verb !== undefined && words.length >= length) return { verb, rest: words.slice(length) };
  }
  return undefined;
}

/** @throws USAGE with a suggestion */
export function parseArguments(verb: Verb, words: readonly string[]): Parsed {
  const given = new Map<string, string[]>();
  const operands: string[] = [];
  let help = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    if (word === '--') {
      operands.push(...words.slice(i + 1));
      break;
    }
    if (word === '--help' || word === '-h') {
      help = true;
    } else if (word.startsWith('-') && word !== '-') {
      const { name, flag, inline } = findFlag(verb, word);
      if (flag.value === undefined) {
        if (inline !== undefined) throw usage(verb, `--${name} takes no value`);
        given.set(name, []);
        continue;
      }
      const value = inline ?? words[++i];
      if (value === undefined) throw usage(verb, `--${name} needs a value: --${name} ${flag.value}`);
      const before = given.get(name);
      if (before !== undefined && flag.repeatable !== true) throw usage(verb, `--${name} is given twice`);
      given.set(name, [...(before ?? []), value]);
    } else {
      operands.push(word);
    }
  }
  if (!help) checkOperands(verb, operands);
  return { operands, flags: new Flags(given), help };
}

export function usage(verb: Verb | undefined, message: string, hint?: string): RobustError {
  const more = `See: robust-server ${verb === undefined ? '' : `${verb.name} `}--help`;
  return new RobustError('USAGE', message, {
    hint: hint === undefined ? more : `${hint.replace(/([^.?])$/, '$1.')} ${more}`,
  });
}

function findFlag(verb: Verb, word: string): { name: string; flag: Flag; inline: string | undefined } {
  const equals = word.indexOf('=');
  const given = equals === -1 ? word : word.slice(0, equals);
  const inline = equals === -1 ? undefined : word.slice(equals + 1);
  for (const [name, flag] of Object.entries(verb.flags))
    if (given === `--${name}` || (flag.short !== undefined && given === `-${flag.short}`))
      return { name, flag, inline };
  const known = [...Object.keys(verb.flags), 'help'].map((name) => `--${name}`);
  throw usage(verb, `${verb.name} has no flag ${given}`, didYouMean(given, known));
}

function checkOperands(verb: Verb, operands: readonly string[]): void {
  const min = verb.minOperands ?? 0;
  const max = verb.maxOperands ?? min;
  if (operands.length < min) throw usage(verb, `${verb.name} needs ${verb.operands ?? 'more words'}`);
  if (operands.length > max)
    throw usage(verb, `${verb.name} does not know what to do with ${JSON.stringify(operands[max])}`);
}
