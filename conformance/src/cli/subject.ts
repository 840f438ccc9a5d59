import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { EngineDefinition } from '@robustmq/core';
import { loadEngine } from '@robustmq/core/config';
import type { ServiceAddress, ServiceCorner } from '../service-world.ts';
import { readSettings, readSettingsFor, type Settings, settingsOf } from '../settings.ts';
import { UsageError } from './arguments.ts';

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
  /** Of an engine that talks to one. */
  readonly service?: SubjectService;
}

export interface SubjectService {
  readonly address: ServiceAddress;
  settings(corner: ServiceCorner): Settings;
}

export interface SubjectOptions {
  readonly cwd: string;
  readonly config?: string | undefined;
  readonly service?: ServiceAddress | undefined;
}

/** @throws RobustError with one of PLUGIN_CODES or CONFIG_CODES: what is wrong, where, and what to do */
export async function loadSubject(module: string, { cwd, config, service }: SubjectOptions): Promise<Subject> {
  // whoever writes src/index.ts means the file
  const use = isPackageName(module) || !existsSync(resolve(cwd, module)) ? module : resolve(cwd, module);
  const { definition, source, url } = await loadEngine(use, { from: cwd, table: new Map() });
  const subject = { definition, module, source, url, configFile: config };
  if (service === undefined)
    return {
      ...subject,
      config: config === undefined ? settingsOf(definition) : await readSettings(definition, config, cwd),
    };
  const first = { ...service, world: 'world' };
  const settings = config === undefined ? undefined : await readSettingsFor(definition, config, cwd, first);
  if (settings?.namesPort !== true)
    throw new UsageError(
      '--service needs a --config file whose settings say {host} and {port} where the address belongs',
    );
  return {
    ...subject,
    config: settings.with(first),
    service: { address: service, settings: (corner) => settings.with(corner) },
  };
}

function isPackageName(text: string): boolean {
  return /^(@[^/]+\/)?[^./][^/]*$/.test(text) && !/\.[cm]?[jt]s$/.test(text);
}
