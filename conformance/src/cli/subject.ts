import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { EngineDefinition } from '@robustmq/core';
import { loadEngine } from '@robustmq/core/config';
import { readSettings, type Settings, settingsOf } from '../settings.ts';

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
  readonly config: Settings;
}

/** @throws RobustError with one of PLUGIN_CODES or CONFIG_CODES: what is wrong, where, and what to do */
export async function loadSubject(
  module: string,
  { cwd, config }: { readonly cwd: string; readonly config?: string | undefined },
): Promise<Subject> {
  // whoever writes src/index.ts means the file
  const use = isPackageName(module) || !existsSync(resolve(cwd, module)) ? module : resolve(cwd, module);
  const { definition, source, url } = await loadEngine(use, { from: cwd, table: new Map() });
  const settings = config === undefined ? settingsOf(definition) : await readSettings(definition, config, cwd);
  return { definition, module, source, url, configFile: config, config: settings };
}

function isPackageName(text: string): boolean {
  return /^(@[^/]+\/)?[^./][^/]*$/.test(text) && !/\.[cm]?[jt]s$/.test(text);
}
