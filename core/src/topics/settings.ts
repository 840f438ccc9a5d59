/** Which settings a topic has: its own over the first matching rule's over the cluster default. Pure. */
import type { TopicOverrides, TopicSettings } from '../adapter.ts';
import type { TopicPolicy } from './policy.ts';

export interface ResolvedSettings {
  readonly settings: TopicSettings;
  readonly origins: Readonly<Record<string, string>>;
}

const PATHS = [
  'engine',
  'engineSettings',
  'shards',
  'retention.ms',
  'retention.bytes',
  'segment.bytes',
  'segment.ms',
  'cleanup',
  'deleteRetentionMs',
  'maxMessageBytes',
  'archive.to',
  'archive.after',
  'archive.keepLocal',
] as const;

export function resolveSettings(name: string, overrides: TopicOverrides, policy: TopicPolicy): ResolvedSettings {
  const rule = policy.rules.find((candidate) => globMatches(candidate.match, name));
  const origins: Record<string, string> = {};
  const values: Record<string, unknown> = {};
  for (const path of PATHS) {
    const own = at(overrides, path);
    const ruled = rule === undefined ? undefined : at(rule.overrides, path);
    if (own !== undefined && own !== null) {
      values[path] = own;
      origins[path] = 'topic';
    } else if (rule !== undefined && ruled !== undefined && ruled !== null) {
      values[path] = ruled;
      origins[path] = `rule ${rule.match}`;
    } else {
      values[path] = at(policy.defaults, path);
      origins[path] = 'default';
    }
  }
  const settings = {
    engine: values.engine,
    engineSettings: values.engineSettings,
    shards: values.shards,
    retention: { ms: values['retention.ms'], bytes: values['retention.bytes'] },
    segment: { bytes: values['segment.bytes'], ms: values['segment.ms'] },
    cleanup: values.cleanup,
    deleteRetentionMs: values.deleteRetentionMs,
    maxMessageBytes: values.maxMessageBytes,
    archive: { to: values['archive.to'], after: values['archive.after'], keepLocal: values['archive.keepLocal'] },
  } as TopicSettings; // each path was taken from a value of the same shape
  return { settings, origins };
}

/** What a topic has set after `changes`: `null` takes a setting away. */
export function mergeOverrides(before: TopicOverrides, changes: TopicOverrides): TopicOverrides {
  const merged: Record<string, unknown> = {};
  for (const path of PATHS) {
    const changed = at(changes, path);
    const value = changed === undefined ? at(before, path) : changed;
    if (value === undefined || value === null) continue;
    const [section, key] = path.split('.') as [string, string | undefined]; // a path has one or two parts
    if (key === undefined) merged[section] = value;
    else merged[section] = { ...(merged[section] as object | undefined), [key]: value };
  }
  return merged as TopicOverrides; // built path by path
}

/** `*` stands for any run of characters, `?` for one; everything else for itself. */
export function globMatches(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let retry = 0;
  while (n < name.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++;
      retry = n;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

function at(value: object, path: string): unknown {
  let found: unknown = value;
  for (const key of path.split('.')) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = (found as Record<string, unknown>)[key]; // an object
  }
  return found;
}
