import { RobustError } from '../errors.ts';
import { isServed } from './api-version.ts';
import type { PluginSource } from './resolve.ts';
import type { JsonSchema } from './schema.ts';

export type PluginKind = 'engine' | 'broker';

export interface DefinitionCheck {
  readonly use: string;
  readonly source: PluginSource;
  /** The API version that this server serves. */
  readonly wanted: number;
  /** The first-party names, which nobody else may use. */
  readonly table: { has(name: string): boolean };
}

const DURABILITIES = ['none', 'fsync', 'pipeline', 'quorum', 'object-store'];

/** Checks what a plug-in exports, version first: a plug-in of another version may have other fields. @throws RobustError */
export function checkDefinition(kind: PluginKind, value: Record<string, unknown>, check: DefinitionCheck): void {
  const who = `${kind} ${check.use} (${check.source.text})`;
  const invalid: Invalid = (field, problem) =>
    new RobustError('PLUGIN_INVALID', `${who}: ${field} ${problem}`, {
      hint: `See ${kind === 'engine' ? 'EngineDefinition in @robustmq/core/engine' : 'BrokerDefinition in @robustmq/core/broker'}`,
    });

  const { apiVersion, name } = value;
  if (typeof apiVersion !== 'number') throw invalid('apiVersion', 'is not a number');
  if (!isServed(apiVersion, check.wanted))
    throw new RobustError(
      'PLUGIN_API_VERSION',
      `${who} was written for ${kind} API ${apiVersion}, this server serves ${check.wanted}`,
      { hint: apiVersion > check.wanted ? 'Upgrade the server, or install an older plug-in' : 'Upgrade the plug-in' },
    );
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9-]{0,62}$/.test(name))
    throw invalid('name', 'is not 1 to 63 lower case letters, digits and -');
  const expected = check.source.expectedName;
  if (expected !== undefined && name !== expected) throw invalid('name', `is "${name}", expected "${expected}"`);
  if (check.source.kind !== 'first-party' && check.table.has(name))
    throw new RobustError('PLUGIN_NAME_CLASH', `${who} calls itself "${name}", which is a name of this server's own`, {
      hint: 'The plug-in must take another name',
    });
  if (typeof value.version !== 'string' || value.version === '') throw invalid('version', 'is not a text');
  if (typeof value.open !== 'function') throw invalid('open', 'is not a function');
  checkSchema(value.configSchema, invalid);
  if (kind === 'engine') checkCapabilities(value.capabilities, invalid);
}

type Invalid = (field: string, problem: string) => RobustError;

function checkSchema(schema: unknown, invalid: Invalid): void {
  if (typeof schema !== 'object' || schema === null) throw invalid('configSchema', 'is not a JSON Schema');
  const { type, additionalProperties } = schema as JsonSchema;
  if (type !== 'object') throw invalid('configSchema.type', 'is not "object"');
  // otherwise a misspelt setting would go unnoticed
  if (additionalProperties !== false) throw invalid('configSchema.additionalProperties', 'is not false');
}

function checkCapabilities(capabilities: unknown, invalid: Invalid): void {
  if (typeof capabilities !== 'object' || capabilities === null) throw invalid('capabilities', 'is missing');
  const { durability, placement, append, maxBatchBytes } = capabilities as Record<string, unknown>;
  if (!DURABILITIES.includes(String(durability)))
    throw invalid('capabilities.durability', `is not one of ${DURABILITIES.join(', ')}`);
  if (placement !== 'node' && placement !== 'cluster')
    throw invalid('capabilities.placement', 'is not node or cluster');
  if (typeof append !== 'boolean') throw invalid('capabilities.append', 'is not true or false');
  if (typeof maxBatchBytes !== 'number' || !(maxBatchBytes >= 1_048_576))
    throw invalid('capabilities.maxBatchBytes', 'is not a number of at least 1048576');
}
