import { relative, resolve } from 'node:path';
import type { EngineDefinition } from '@robustmq/core';
import { ConfigError, Draft, inferUnits, type JsonObject, readConfigFile, validatePart } from '@robustmq/core/config';

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

function settle(draft: Draft, definition: EngineDefinition): Settings {
  const [first, ...more] = validatePart(draft, [], inferUnits(definition.configSchema));
  if (first !== undefined) throw new ConfigError([first, ...more]);
  return draft.root;
}
