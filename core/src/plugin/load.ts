import { BROKER_API_VERSION, type BrokerDefinition } from '../broker.ts';
import { ENGINE_API_VERSION, type EngineDefinition } from '../engine.ts';
import { RobustError } from '../errors.ts';
import { systemClock } from '../system.ts';
import { checkDefinition, type PluginKind } from './definition.ts';
import { type PluginSource, resolvePlugin } from './resolve.ts';

/** The plug-ins a server brings along: name to a function that imports it. Core itself knows none. */
export type PluginTable = ReadonlyMap<string, () => Promise<unknown>>;

export interface LoadOptions {
  /** The folder that `./path` and packages are looked for from: the config file's. */
  readonly from: string;
  readonly table: PluginTable;
}

/** What can go wrong on the way to a plug-in. Documented in docs/errors.md. */
export const PLUGIN_CODES = [
  'PLUGIN_NOT_FOUND',
  'PLUGIN_LOAD_FAILED',
  'PLUGIN_NO_EXPORT',
  'PLUGIN_INVALID',
  'PLUGIN_API_VERSION',
  'PLUGIN_NAME_CLASH',
] as const;

export type PluginCode = (typeof PLUGIN_CODES)[number];

const LONGEST_IMPORT_MS = 30_000;

export interface LoadedPlugin<Definition> {
  readonly definition: Definition;
  /** `first-party`, `package robust-engine-x`, or the path of a file. */
  readonly source: string;
  /** What was imported, for whoever must do it again in another process; `undefined` for what the server brings along. */
  readonly url: string | undefined;
}

/** @throws RobustError with one of {@link PLUGIN_CODES} */
export async function loadEngine(use: string, options: LoadOptions): Promise<LoadedPlugin<EngineDefinition>> {
  const { value, source } = await load('engine', use, options);
  checkDefinition('engine', value, { use, source, wanted: ENGINE_API_VERSION, table: options.table });
  // checkDefinition has looked at every field
  return { definition: value as unknown as EngineDefinition, source: source.text, url: urlOf(source) };
}

/** @throws RobustError with one of {@link PLUGIN_CODES} */
export async function loadBroker(use: string, options: LoadOptions): Promise<LoadedPlugin<BrokerDefinition>> {
  const { value, source } = await load('broker', use, options);
  checkDefinition('broker', value, { use, source, wanted: BROKER_API_VERSION, table: options.table });
  // checkDefinition has looked at every field
  return { definition: value as unknown as BrokerDefinition, source: source.text, url: urlOf(source) };
}

function urlOf(source: PluginSource): string | undefined {
  return source.kind === 'first-party' ? undefined : source.url;
}

async function load(
  kind: PluginKind,
  use: string,
  options: LoadOptions,
): Promise<{ value: Record<string, unknown>; source: PluginSource }> {
  const found = options.table.get(use);
  const source: PluginSource = found
    ? { kind: 'first-party', text: 'first-party', expectedName: use }
    : resolvePlugin(kind, use, options);
  let module: unknown;
  try {
    module = await ended(found === undefined ? import(source.kind === 'first-party' ? '' : source.url) : found());
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new RobustError(
      'PLUGIN_LOAD_FAILED',
      `${kind} ${use} (${source.text}) failed while it was loaded: ${reason}`,
      {
        hint: 'The cause is in the plug-in: check that its own dependencies are installed',
        cause: error,
      },
    );
  }
  return { value: definitionOf(kind, use, source, module), source };
}

/** A top-level await in a plug-in may never settle: then Node would end the process with 13 and no word, or wait for good. */
async function ended(importing: Promise<unknown>): Promise<unknown> {
  let end = (): void => {};
  const never = new Promise<never>((_, reject) => {
    // a turn later, so that the process is alive again for what follows
    end = () => void setImmediate(() => reject(new Error('its import never ends (a top-level await?)')));
  });
  const bound = systemClock.timer(LONGEST_IMPORT_MS, end);
  // nothing is left that could settle it
  process.once('beforeExit', end);
  try {
    return await Promise.race([importing, never]);
  } finally {
    bound.cancel();
    process.off('beforeExit', end);
  }
}

/** The default export; a CommonJS package compiled from ESM hides it one level deeper. */
function definitionOf(kind: PluginKind, use: string, source: PluginSource, module: unknown): Record<string, unknown> {
  let value: unknown = isRecord(module) ? module.default : undefined;
  if (isRecord(value) && isRecord(value.default) && !('open' in value)) value = value.default;
  if (isRecord(value) && ('open' in value || 'apiVersion' in value)) return value;
  throw new RobustError(
    'PLUGIN_NO_EXPORT',
    `${kind} ${use} (${source.text}) has no default export that is ${kind === 'engine' ? 'an engine' : 'a broker'}`,
    { hint: `It must say: export default define${kind === 'engine' ? 'Engine' : 'Broker'}({...})` },
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
