/**
 * Durations and sizes as people write them: `10m`, `1h30m`, `128MiB`. A schema asks for them with the keyword `unit` (`'ms'` or
 * `'bytes'`) beside `type: integer`; in the config either the plain number or the text may stand there.
 */

export type Unit = 'ms' | 'bytes';

const DURATIONS: readonly (readonly [string, number])[] = [
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

const SIZES: readonly (readonly [string, number])[] = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
  ['B', 1],
];

/** What may stand where a unit is asked for, as a regular expression an editor understands. */
export const UNIT_PATTERNS: Readonly<Record<Unit, string>> = {
  ms: '^(never|unlimited|([0-9]+(\\.[0-9]+)?(ms|[smhdw]))+)$',
  bytes: '^(unlimited|[0-9]+(\\.[0-9]+)? ?([KMGTkmgt]i?)?[bB])$',
};

export const UNIT_EXAMPLES: Readonly<Record<Unit, string>> = {
  ms: 'a duration such as 500ms, 10s, 1h30m or 7d (a plain number is milliseconds)',
  bytes: 'a size such as 64KiB, 128MiB or 10GB (a plain number is bytes)',
};

/** The number of milliseconds or bytes, or undefined when the text is no such thing. `never` and `unlimited` are -1. */
export function parseUnit(unit: Unit, text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed.length > 64) return undefined;
  if (trimmed === 'unlimited' || (unit === 'ms' && trimmed === 'never')) return -1;
  if (/^-?[0-9]+$/.test(trimmed)) return safe(Number(trimmed));
  return unit === 'ms' ? parseDuration(trimmed) : parseSize(trimmed);
}

/** The shortest exact form, for messages and `config print`: 5400000 is `1h30m`, 134217728 is `128MiB`. */
export function formatUnit(unit: Unit, value: number): string {
  if (value === -1) return unit === 'ms' ? 'never' : 'unlimited';
  if (value === 0 || !Number.isSafeInteger(value) || value < 0) return String(value);
  return unit === 'ms' ? formatDuration(value) : formatSize(value);
}

function parseDuration(text: string): number | undefined {
  if (!/^([0-9]+(\.[0-9]+)?(ms|[smhdw]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, name] of text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])/g)) {
    const factor = DURATIONS.find(([known]) => known === name);
    if (factor === undefined) return undefined;
    total += Number(amount) * factor[1];
  }
  return safe(Math.round(total));
}

function parseSize(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([a-z]+)$/i.exec(text);
  if (match === null) return undefined;
  const factor = SIZES.find(([known]) => known.toLowerCase() === match[2]?.toLowerCase());
  return factor === undefined ? undefined : safe(Math.round(Number(match[1]) * factor[1]));
}

function safe(value: number): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined;
}

function formatDuration(value: number): string {
  let rest = value;
  let text = '';
  for (const [name, factor] of DURATIONS) {
    // a retention of 7d is no 1w to most people
    if (name === 'w' || rest < factor) continue;
    text += `${Math.floor(rest / factor)}${name}`;
    rest %= factor;
  }
  return text;
}

function formatSize(value: number): string {
  const [name, factor] = SIZES.find(([, size]) => value % size === 0) ?? ['B', 1];
  return `${value / factor}${name}`;
}
