import { dirname, relative, resolve } from 'node:path';
import { NO_ARCHIVE } from '../adapter.ts';
import { RobustError } from '../errors.ts';
import { type LoadedPlugin, loadBroker, loadEngine, type PluginTable } from '../plugin/load.ts';
import type { JsonSchema } from '../plugin/schema.ts';
import { clashes } from './clashes.ts';
import type { Config, ConfiguredBroker, ConfiguredEngine, CoreValues } from './config.ts';
import { Draft, dotted, isObject, type Json, type Path } from './draft.ts';
import { inferUnits } from './infer-units.ts';
import { ConfigError, type ConfigIssue, describeIssue, describeOrigin } from './issue.ts';
import { applyEnv, applyFlag, applySet } from './overrides.ts';
import { readConfigFile } from './read-file.ts';
import { CORE_SCHEMA } from './schema.ts';
import { didYouMean } from './suggest.ts';
import { validatePart } from './validate.ts';

export interface LoadConfigOptions {
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `path=value`, in the order of the command line. */
  readonly sets?: readonly string[];
  /** Of the `--data` flag. */
  readonly data?: string | undefined;
  readonly cwd: string;
  readonly engines: PluginTable;
  readonly brokers: PluginTable;
}

/** What is there without a file. */
const PREDEFINED: Readonly<Record<string, Json>> = {
  engines: { local: { use: 'local-file' }, memory: { use: 'memory' } },
  brokers: { mqtt: {}, kafka: {} },
};

/**
 * Defaults, then the file, then the environment, then flags. Everything that is wrong is told at once, where that is possible.
 * @throws ConfigError; RobustError PLUGIN_*
 */
export async function loadConfig(options: LoadConfigOptions): Promise<Config> {
  const file = options.file === undefined ? undefined : resolve(options.cwd, options.file);
  const shown = file === undefined ? '' : shorter(relative(options.cwd, file), file);
  const draft = file === undefined ? new Draft() : await readConfigFile(file, shown);
  applyEnv(draft, options.env);
  for (const set of options.sets ?? []) applySet(draft, set);
  if (options.data !== undefined) applyFlag(draft, `--data ${options.data}`, ['data'], options.data);
  for (const [key, value] of Object.entries(PREDEFINED)) draft.setDefault([key], value);

  const warnings: string[] = [];
  failOn(check(draft, [], CORE_SCHEMA, warnings));
  // the schema has just said so
  const values = draft.root as unknown as CoreValues;

  const from = file === undefined ? options.cwd : dirname(file);
  const engines = await loadEngines(draft, values, { from, table: options.engines }, warnings);
  const brokers = await loadBrokers(draft, values, { from, table: options.brokers }, warnings);
  failOn([...unknownEngines(draft, values), ...clashes(draft, values, engines, brokers)]);

  const dataFrom = draft.exactOrigin(['data']).kind === 'file' ? from : options.cwd;
  return {
    data: resolve(dataFrom, values.data),
    node: values.node,
    engines,
    brokers,
    policy: {
      rules: values.topics.map(({ match, ...overrides }) => ({ match, overrides })),
      defaults: values.defaults,
      autoCreate: values.autoCreateTopics,
    },
    admin: values.admin,
    log: values.log,
    memory: values.memory,
    storage: values.storage,
    file,
    warnings,
    draft,
  };
}

interface Plugins {
  readonly from: string;
  readonly table: PluginTable;
}

async function loadEngines(
  draft: Draft,
  values: CoreValues,
  plugins: Plugins,
  warnings: string[],
): Promise<ConfiguredEngine[]> {
  const loaded: ConfiguredEngine[] = [];
  const issues: ConfigIssue[] = [];
  for (const name of Object.keys(values.engines)) {
    const use = String(draft.get(['engines', name, 'use']));
    const plugin = await at(draft, ['engines', name, 'use'], () => loadEngine(use, plugins));
    const { definition, source } = plugin;
    refuseNamesakes(loaded, { name, source, definition });
    issues.push(...checkPlugin(draft, ['engines', name], definition, ENGINE_OWN, warnings));
    loaded.push({ name, use, definition, source, config: settingsOf(draft, ['engines', name], ENGINE_OWN) });
  }
  failOn(issues);
  return loaded;
}

async function loadBrokers(
  draft: Draft,
  values: CoreValues,
  plugins: Plugins,
  warnings: string[],
): Promise<ConfiguredBroker[]> {
  const loaded: ConfiguredBroker[] = [];
  const issues: ConfigIssue[] = [];
  for (const [name, { use = name, enabled }] of Object.entries(values.brokers)) {
    if (!enabled) continue;
    const plugin = await at(draft, ['brokers', name], () => loadBroker(use, plugins));
    const { definition, source } = plugin;
    refuseNamesakes(loaded, { name, source, definition });
    issues.push(...checkPlugin(draft, ['brokers', name], definition, BROKER_OWN, warnings));
    loaded.push({ name, use, definition, source, config: settingsOf(draft, ['brokers', name], BROKER_OWN) });
  }
  failOn(issues);
  return loaded;
}

/** Settings beside the plug-in's own. */
const ENGINE_OWN: Readonly<Record<string, JsonSchema>> = { use: { type: 'string' } };
const BROKER_OWN: Readonly<Record<string, JsonSchema>> = { use: { type: 'string' }, enabled: { type: 'boolean' } };

function checkPlugin(
  draft: Draft,
  path: Path,
  definition: LoadedPlugin<{ readonly name: string; readonly configSchema: JsonSchema }>['definition'],
  own: Readonly<Record<string, JsonSchema>>,
  warnings: string[],
): ConfigIssue[] {
  const configSchema = inferUnits(definition.configSchema);
  // judged by checkDefinition to be an object schema
  const properties = (configSchema.properties ?? {}) as Readonly<Record<string, JsonSchema>>;
  const schema: JsonSchema = { ...configSchema, properties: { ...own, ...properties } };
  return check(draft, path, schema, warnings);
}

function settingsOf(draft: Draft, path: Path, own: Readonly<Record<string, JsonSchema>>): Record<string, unknown> {
  const all = draft.get(path);
  if (!isObject(all)) return {};
  return Object.fromEntries(Object.entries(all).filter(([key]) => !Object.hasOwn(own, key)));
}

interface Named {
  readonly name: string;
  readonly source: string;
  readonly definition: { readonly name: string };
}

/** Two plug-ins of one name would share metrics and messages. */
function refuseNamesakes(loaded: readonly Named[], added: Named): void {
  const other = loaded.find(
    (known) => known.definition.name === added.definition.name && known.source !== added.source,
  );
  if (other !== undefined)
    throw new RobustError(
      'PLUGIN_NAME_CLASH',
      `${other.name} (${other.source}) and ${added.name} (${added.source}) are two plug-ins that both call themselves "${added.definition.name}"`,
      { hint: 'Use one of them, or rename one' },
    );
}

/** Runs a check; what an unknown environment variable set is taken out again with a warning. */
function check(draft: Draft, path: Path, schema: JsonSchema, warnings: string[]): ConfigIssue[] {
  for (let round = 0; ; round++) {
    const issues = validatePart(draft, path, schema);
    const ignored = issues.filter((issue) => issue.code === 'CONFIG_UNKNOWN_KEY' && issue.origin.kind === 'env');
    if (ignored.length === 0 || round > 0) return issues;
    for (const issue of ignored) {
      warnings.push(`${describeIssue(issue)} (ignored)`);
      draft.remove(issue.path.split('.'));
    }
  }
}

/** Says where in the config a plug-in was named when it can't be loaded. */
async function at<T>(draft: Draft, path: Path, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof RobustError)) throw error;
    const origin = draft.origin(path);
    const where = origin.kind === 'default' ? '' : `${describeOrigin(origin)}: `;
    const known = error as RobustError;
    throw new RobustError(known.code, `${where}${dotted(path)}: ${known.message}`, {
      ...(known.hint === undefined ? {} : { hint: known.hint }),
      cause: known.cause,
    });
  }
}

function unknownEngines(draft: Draft, values: CoreValues): ConfigIssue[] {
  const names = Object.keys(values.engines);
  const places: Path[] = [['defaults'], ...values.topics.map((_, i): Path => ['topics', i])];
  const uses = places.flatMap((place): Path[] => [
    [...place, 'engine'],
    [...place, 'archive', 'to'],
  ]);
  return uses.flatMap((path): ConfigIssue[] => {
    const name = draft.get(path);
    if (typeof name !== 'string' || names.includes(name)) return [];
    if (name === NO_ARCHIVE && path.at(-1) === 'to') return [];
    const hint = didYouMean(name, names);
    return [
      {
        code: 'CONFIG_ENGINE_UNKNOWN',
        origin: draft.origin(path),
        path: dotted(path),
        message: `"${name}" is not the name of an engine instance`,
        ...(hint === undefined ? {} : { hint }),
      },
    ];
  });
}

function failOn(issues: readonly ConfigIssue[]): void {
  const [first, ...rest] = issues;
  if (first !== undefined) throw new ConfigError([first, ...rest.slice(0, 19)]);
}

function shorter(a: string, b: string): string {
  return a.startsWith('..') ? b : a;
}
