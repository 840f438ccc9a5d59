import type { Logger } from '@robustmq/core';
import { pino } from 'pino';

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly format: 'text' | 'json';
}

/** The node's log, on standard error: standard output belongs to what a command answers. */
export function createLogger(options: LogOptions, sink: { write(line: string): unknown } = process.stderr): Logger {
  const base = { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const formatters = { level: (level: string) => ({ level }) };
  const stream = options.format === 'json' ? sink : { write: (line: string) => sink.write(toText(line)) };
  return pino({ ...base, formatters }, stream);
}

/** `2026-01-02T03:04:05.678Z warn  message key=value`, and an error's stack, code and advice below. */
function toText(line: string): string {
  // pino wrote it a moment ago
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value)}`)
    .join('');
  return `${String(time)} ${String(level).padEnd(5)} ${String(msg)}${rest}${errorText(err)}\n`;
}

function errorText(err: unknown): string {
  if (typeof err !== 'object' || err === null || !('stack' in err)) return '';
  const { stack, code, hint } = err as { readonly stack: unknown; readonly code?: unknown; readonly hint?: unknown };
  const said = [stack, code === undefined ? [] : `code: ${code}`, hint === undefined ? [] : `what to do: ${hint}`];
  return said
    .flat()
    .map((text) => `\n  ${String(text).replaceAll('\n', '\n  ')}`)
    .join('');
}
