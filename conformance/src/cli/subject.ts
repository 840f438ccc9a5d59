import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { EngineDefinition } from '@robustmq/core';
import {
  ConfigError,
  type ConfigIssue,
  Draft,
  inferUnits,
  loadEngine,
  readConfigFile,
  validatePart,
} from '@robustmq/core/config';

/** The engine to be proven, and what it is opened with. */
export interface Subject {
  readonly definition: EngineDefinition;
  /** As it was asked for: what to type to run it again. */
  readonly module: string;
  /** `package x`, or a file. */
  readonly source: string;
  readonly url: string | undefined;
  /** The file of its settings, if one was given. */
  readonly configFile: string | undefined;
  readonly config: Readonly<Record<string, unknown>>;
}

/** @throws RobustError with one of PLUGIN_CODES or CONFIG_CODES: what is wrong, where, and what to do */
export async function loadSubject(
  module: string,
  { cwd, config }: { readonly cwd: string; readonly config?: string | undefined },
): Promise<Subject> {
  // whoever writes src/index.ts means the file
  const use = isPackageName(module) || !existsSync(resolve(cwd, module)) ? module : resolve(cwd, module);
  const { definition, source, url } = await loadEngine(use, { from: cwd, table: new Map() });
  const settings = await readSettings(definition, cwd, config);
  return { definition, module, source, url, configFile: config, config: settings };
}

/** Settings as a node would hand them to the engine: checked, units as numbers, defaults filled in. @throws ConfigError */
export async function readSettings(
  definition: EngineDefinition,
  cwd: string,
  file: string | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const draft =
    file === undefined ? new Draft() : await readConfigFile(resolve(cwd, file), relative(cwd, resolve(cwd, file)));
  // a file copied from a node's config says it
  draft.remove(['use']);
  return settle(draft, definition, file);
}

/** What an engine without any setting of one's own is opened with. @throws ConfigError when it must be given some */
export function defaultSettings(definition: EngineDefinition): Readonly<Record<string, unknown>> {
  return settle(new Draft(), definition, undefined);
}

function settle(
  draft: Draft,
  definition: EngineDefinition,
  file: string | undefined,
): Readonly<Record<string, unknown>> {
  const [first, ...more] = validatePart(draft, [], inferUnits(definition.configSchema)).map((issue) =>
    file === undefined ? asked(issue) : issue,
  );
  if (first !== undefined) throw new ConfigError([first, ...more]);
  return draft.root;
}

function asked(issue: ConfigIssue): ConfigIssue {
  return issue.code === 'CONFIG_MISSING'
    ? { ...issue, hint: 'It has no default: give the settings in a file, with --config' }
    : issue;
}

function isPackageName(text: string): boolean {
  return /^(@[^/]+\/)?[^./][^/]*$/.test(text) && !/\.[cm]?[jt]s$/.test(text);
}
