/** Configuration: YAML files, environment and flags, checked against the schemas of core and of the plug-ins. */
export * from './config/config.ts';
export { Draft, dotted, type Json, type JsonObject, type Path } from './config/draft.ts';
export { inferUnits } from './config/infer-units.ts';
export * from './config/issue.ts';
export { type LoadConfigOptions, loadConfig } from './config/load.ts';
export { ENV_PREFIX } from './config/overrides.ts';
export { type ConfigLine, configLines, configValues } from './config/print.ts';
export { CONFIG_LIMITS, parseConfig, readConfigFile } from './config/read-file.ts';
export { CORE_SCHEMA, composeSchema, type PluginSchemas, TOPIC_SETTINGS, topicOverrides } from './config/schema.ts';
export { didYouMean, suggest } from './config/suggest.ts';
export { formatUnit, parseUnit, UNIT_PATTERNS, type Unit } from './config/units.ts';
export { validateData, validatePart } from './config/validate.ts';
export {
  type LoadedPlugin,
  type LoadOptions,
  loadBroker,
  loadEngine,
  PLUGIN_CODES,
  type PluginCode,
  type PluginTable,
} from './plugin/load.ts';
