import { isScalar, parseDocument } from 'yaml';
import { type Draft, isObject, type Json } from './draft.ts';
import { ConfigError, type Origin } from './issue.ts';

export const ENV_PREFIX = 'ROBUST_';

/** A variable names its setting so: `ROBUST_BROKERS__KAFKA__PORT`; `__` between levels, `_` between the words of a name. */
export function applyEnv(draft: Draft, env: Readonly<Record<string, string | undefined>>): void {
  for (const name of Object.keys(env).toSorted()) {
    const text = env[name];
    if (!name.startsWith(ENV_PREFIX) || text === undefined) continue;
    const path: (string | number)[] = [];
    for (const part of name.slice(ENV_PREFIX.length).split('__')) path.push(envStep(draft.get(path), part));
    const origin: Origin = { kind: 'env', name };
    assign(draft, path, text, origin);
  }
}

/** `--set brokers.kafka.port=9093`; `topics.0.engine=hot` or `topics[0].engine=hot` reach into a list. */
export function applySet(draft: Draft, assignment: string): void {
  const origin: Origin = { kind: 'flag', text: `--set ${assignment}` };
  const equals = assignment.indexOf('=');
  const path = assignment.slice(0, Math.max(0, equals)).trim();
  if (equals <= 0 || path === '')
    throw overrideError(origin, '', 'it must look like path=value', 'For example: --set brokers.kafka.port=9093');
  const steps = path
    .replaceAll(/\[([0-9]+)\]/g, '.$1')
    .split('.')
    .map((step) => (/^[0-9]+$/.test(step) ? Number(step) : step));
  assign(draft, steps, assignment.slice(equals + 1), origin);
}

/** Sets a value that has a flag of its own, such as `--data`. */
export function applyFlag(draft: Draft, flag: string, path: readonly string[], value: Json): void {
  draft.set(path, value, { kind: 'flag', text: flag });
}

function assign(draft: Draft, path: readonly (string | number)[], text: string, origin: Origin): void {
  const shown = path.join('.');
  if (path.some((step) => step === '')) throw overrideError(origin, shown, 'a level of the path is empty');
  if (!draft.set(path, parseValue(text, origin, shown), origin))
    throw overrideError(origin, shown, 'there is no such place: a value or a shorter list is in the way');
}

/** A value as it would stand behind `key:` in the file. */
function parseValue(text: string, origin: Origin, path: string): Json {
  if (text.length > 65_536) throw overrideError(origin, path, 'the value is longer than 65536 characters');
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true });
  const [problem] = [...document.errors, ...document.warnings];
  // a text such as `a: b: c` or `@x` is no YAML; as a plain text it is fine unless it meant to be a list or map
  if (problem !== undefined) {
    if (!/^\s*[[{]/.test(text)) return text;
    throw overrideError(origin, path, `the value is not valid YAML: ${problem.message.split('\n')[0]}`);
  }
  if (isScalar(document.contents) && typeof document.contents.value === 'string') return document.contents.value;
  const value: unknown = document.toJS({ maxAliasCount: 0 });
  if (isObject(value) && !/^\s*\{/.test(text)) return text;
  // what YAML's core schema makes is plain data
  return value as Json;
}

/** An existing key whatever its case and dashes; otherwise the words in camel case. */
function envStep(at: Json | undefined, part: string): string | number {
  if (Array.isArray(at) && /^[0-9]+$/.test(part)) return Number(part);
  const folded = fold(part);
  if (isObject(at)) {
    const there = Object.keys(at).find((key) => fold(key) === folded);
    if (there !== undefined) return there;
  }
  return part
    .toLowerCase()
    .split('_')
    .map((word, i) => (i === 0 ? word : word.slice(0, 1).toUpperCase() + word.slice(1)))
    .join('');
}

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

function overrideError(origin: Origin, path: string, message: string, hint?: string): ConfigError {
  return new ConfigError([{ code: 'CONFIG_OVERRIDE', origin, path, message, ...(hint === undefined ? {} : { hint }) }]);
}
