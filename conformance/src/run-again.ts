import { isAbsolute, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceAddress } from './service-world.ts';

/** What the command proves, in words for its line. */
export interface Asked {
  /** As a user names it: a package or a path; a URL becomes a path. */
  readonly module?: string | undefined;
  readonly config?: string | undefined;
  readonly service?: ServiceAddress | 'host:port' | undefined;
}

/** What to type to run it again, but for the check and the seed. By the package's name: npx would look for that of a command which is not installed in the registry, where anybody may take it. */
export function commandFor({ module, config, service }: Asked): string {
  return [
    'npx @robustmq/conformance',
    module === undefined ? '<module>' : quoted(typed(module)),
    ...(config === undefined ? [] : ['--config', config.startsWith('<') ? config : quoted(config)]),
    ...(service === undefined
      ? []
      : ['--service', service === 'host:port' ? '<host:port>' : quoted(addressOf(service))]),
  ].join(' ');
}

/** The whole line. An effort is told where less of it might not come as far as the failure. */
export function runAgain(command: string, again: { id: string; seed: number; effort: number }): string {
  const effort = again.effort > 1 ? `ROBUST_CONFORMANCE_EFFORT=${again.effort} ` : '';
  return `${effort}${command} --only ${again.id} --seed ${again.seed}`;
}

/** One word to a shell, whatever is in it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function typed(module: string): string {
  if (!module.startsWith('file:')) return module;
  const path = fileURLToPath(module);
  const from = relative(process.cwd(), path);
  return from.startsWith('..') || isAbsolute(from) ? path : `.${sep}${from}`;
}

function addressOf({ host, port }: ServiceAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
