import { relative, resolve } from 'node:path';
import type { EngineDefinition } from '@robustmq/core';
import {
  ConfigError,
  Draft,
  inferUnits,
  type Json,
  type JsonObject,
  readConfigFile,
  validatePart,
} from '@robustmq/core/config';

/** Settings as a node hands them to an engine: checked, units as numbers, defaults filled in. */
export type Settings = Readonly<Record<string, unknown>>;

/** Of settings in code; those that are missing have their defaults. @throws ConfigError */
export function settingsOf(definition: EngineDefinition, given: Settings = {}): Settings {
  // plain data, as a file would have it
  return settle(new Draft(structuredClone(given) as JsonObject), definition);
}

/** Of a YAML or JSON file: what stands below the instance's name in a node's config. @throws ConfigError with file and line */
export async function readSettings(definition: EngineDefinition, file: string, cwd: string): Promise<Settings> {
  const draft = await readConfigFile(resolve(cwd, file), relative(cwd, resolve(cwd, file)));
  draft.remove(['use']);
  return settle(draft, definition);
}

/** `{host}`, `{port}` and `{world}` in the values of a file. */
export interface Placeholders {
  readonly host: string;
  readonly port: number;
  readonly world: string;
}

/**
 * Of a file in which values may say {@link Placeholders}: settings for each address that are put in their places. Checked at once, with those of `first`.
 * @throws ConfigError with file and line
 */
export async function readSettingsFor(
  definition: EngineDefinition,
  file: string,
  cwd: string,
  first: Placeholders,
): Promise<{ readonly namesPort: boolean; with(corner: Placeholders): Settings }> {
  const draft = await readConfigFile(resolve(cwd, file), relative(cwd, resolve(cwd, file)));
  draft.remove(['use']);
  const template = structuredClone(draft.root);
  for (const [key, value] of Object.entries(template)) draft.set([key], filled(value, first), draft.origin([key]));
  settle(draft, definition);
  return {
    namesPort: JSON.stringify(template).includes('{port}'),
    with: (corner) => filled(template, corner) as Settings, // of an object comes an object
  };
}

/** A value that is nothing but `{port}` becomes a number. */
function filled(value: Json, corner: Placeholders): Json {
  if (typeof value === 'string')
    return value === '{port}'
      ? corner.port
      : value.replace(/\{(host|port|world)\}/g, (_, name: keyof Placeholders) => String(corner[name]));
  if (Array.isArray(value)) return value.map((each) => filled(each, corner));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, filled(each, corner)]));
}

function settle(draft: Draft, definition: EngineDefinition): Settings {
  const [first, ...more] = validatePart(draft, [], inferUnits(definition.configSchema));
  if (first !== undefined) throw new ConfigError([first, ...more]);
  return draft.root;
}
