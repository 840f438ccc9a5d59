import { resolve } from 'node:path';
import type { ConfiguredBroker, ConfiguredEngine, CoreValues } from './config.ts';
import { type Draft, dotted, type Path } from './draft.ts';
import type { ConfigIssue } from './issue.ts';

/** What each part allows, and two together can't have: a start would fail on it. */
export function clashes(
  draft: Draft,
  { admin }: Pick<CoreValues, 'admin'>,
  engines: readonly ConfiguredEngine[],
  brokers: readonly ConfiguredBroker[],
): ConfigIssue[] {
  return [...sharedPorts(draft, admin, brokers), ...sharedDirectories(draft, engines)];
}

interface Bound {
  readonly path: Path;
  readonly host: string;
  readonly port: number;
}

function sharedPorts(draft: Draft, admin: CoreValues['admin'], brokers: readonly ConfiguredBroker[]): ConfigIssue[] {
  const bound: Bound[] = [{ path: ['admin', 'port'], ...admin }];
  const issues: ConfigIssue[] = [];
  for (const { name, config } of brokers) {
    const { host, port } = config;
    // a plug-in may call its own by other names: then its start tells
    if (typeof host !== 'string' || typeof port !== 'number' || port === 0) continue;
    const one: Bound = { path: ['brokers', name, 'port'], host, port };
    const other = bound.find((known) => known.port === port && overlap(known.host, host));
    if (other === undefined) bound.push(one);
    else issues.push(clash(draft, one.path, other.path, `${port} is the port of ${dotted(other.path)}, too`));
  }
  return issues;
}

function overlap(a: string, b: string): boolean {
  return a === b || [a, b].some((host) => host === '0.0.0.0' || host === '::');
}

/** Of first-party engines, whose `dir` is known to be a directory. */
function sharedDirectories(draft: Draft, engines: readonly ConfiguredEngine[]): ConfigIssue[] {
  const taken = new Map<string, Path>();
  const issues: ConfigIssue[] = [];
  for (const { name, source, config } of engines) {
    if (source !== 'first-party' || typeof config.dir !== 'string') continue;
    const path: Path = ['engines', name, 'dir'];
    const dir = resolve(config.dir);
    const other = taken.get(dir);
    if (other === undefined) taken.set(dir, path);
    else issues.push(clash(draft, path, other, `${config.dir} is the directory of ${dotted(other)}, too`));
  }
  return issues;
}

/** Told where somebody wrote it: one of the two may be a default. */
function clash(draft: Draft, path: Path, other: Path, message: string): ConfigIssue {
  const own = draft.origin(path);
  const origin = own.kind === 'default' ? draft.origin(other) : own;
  return { code: 'CONFIG_VALUE', origin, path: dotted(path), message, hint: 'Give each its own' };
}
