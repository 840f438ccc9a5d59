import { RobustError } from '../errors.ts';

/** What can be wrong with a configuration. Documented in docs/errors.md. */
export const CONFIG_CODES = [
  'CONFIG_NOT_FOUND',
  'CONFIG_UNREADABLE',
  'CONFIG_TOO_LARGE',
  'CONFIG_ENCODING',
  'CONFIG_SYNTAX',
  'CONFIG_DUPLICATE_KEY',
  'CONFIG_TOO_COMPLEX',
  'CONFIG_OVERRIDE',
  'CONFIG_UNKNOWN_KEY',
  'CONFIG_MISSING',
  'CONFIG_TYPE',
  'CONFIG_VALUE',
  'CONFIG_ENGINE_UNKNOWN',
] as const;

export type ConfigCode = (typeof CONFIG_CODES)[number];

/** Where a value came from. */
export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'flag'; readonly text: string };

/** One thing that is wrong, with where and what to do. */
export interface ConfigIssue {
  readonly code: ConfigCode;
  /** `robust.yaml:3:5`, an environment variable, a flag. */
  readonly origin: Origin;
  /** `brokers.kafka.port`; empty when the file as a whole is meant. */
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}

/** All that is wrong with a configuration; `code` is the first issue's. */
export class ConfigError extends RobustError {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly [ConfigIssue, ...ConfigIssue[]], cause?: unknown) {
    super(issues[0].code, issues.map((issue) => describeIssue(issue)).join('\n'), { cause });
    this.name = 'ConfigError';
    this.issues = issues;
  }
}

export function describeIssue(issue: ConfigIssue): string {
  const where = describeOrigin(issue.origin);
  const path = issue.path === '' ? '' : `${issue.path}: `;
  const hint = issue.hint === undefined ? '' : `. ${issue.hint}`;
  return `${issue.origin.kind === 'default' ? '' : `${where}: `}${path}${issue.message}${hint}`;
}

/** `robust.yaml:3:5`, `ROBUST_ADMIN__PORT`, `--set admin.port=1`, `default`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default';
    case 'file':
      return origin.line === 0 ? origin.file : `${origin.file}:${origin.line}:${origin.column}`;
    case 'env':
      return origin.name;
    case 'flag':
      return origin.text;
  }
}
