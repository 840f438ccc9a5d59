import { NO_ARCHIVE } from '../adapter.ts';
import type { JsonSchema } from '../plugin/schema.ts';
import { inferUnits } from './infer-units.ts';
import { UNIT_PATTERNS } from './units.ts';

/** Names of engine instances and brokers in the config; they become directory names and labels. */
const INSTANCE_NAME: JsonSchema = {
  pattern: '^[a-z0-9][a-z0-9_-]{0,62}$',
  description: 'Names are 1 to 63 lower case letters, digits, _ and -',
};

const port = (fallback: number, what: string): JsonSchema => ({
  type: 'integer',
  minimum: 0,
  maximum: 65_535,
  default: fallback,
  description: `Port of ${what}; 0 takes a free one`,
});

const section = (description: string, properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  description,
  additionalProperties: false,
  default: {},
  properties,
});

const duration = (description: string, fallback?: number, minimum = 1): JsonSchema => ({
  type: 'integer',
  unit: 'ms',
  minimum,
  description,
  ...(fallback === undefined ? {} : { default: fallback }),
});

const size = (description: string, fallback?: number, minimum = 1): JsonSchema => ({
  type: 'integer',
  unit: 'bytes',
  minimum,
  description,
  ...(fallback === undefined ? {} : { default: fallback }),
});

/** The settings of a topic, as rules, `defaults` and the Admin HTTP take them. The defaults are those of the cluster. */
export const TOPIC_SETTINGS: Readonly<Record<string, JsonSchema>> = {
  engine: { type: 'string', default: 'local', description: 'The engine instance that takes new segments' },
  engineSettings: {
    type: 'object',
    default: {},
    description: 'Settings that this engine takes per topic',
  },
  shards: {
    type: 'integer',
    minimum: 1,
    maximum: 10_000,
    default: 1,
    description: 'Number of shards (Kafka partitions) at creation',
  },
  retention: section('How long a shard keeps its segments', {
    ms: duration(
      'Segments whose newest record was appended longer ago than this go; never: they stay',
      604_800_000,
      -1,
    ),
    bytes: size('Bytes a shard keeps; unlimited: no limit', -1, -1),
  }),
  segment: section('When an open segment is sealed', {
    bytes: size('When it is this large', 134_217_728, 1024),
    ms: duration('When it is this old', 86_400_000),
  }),
  cleanup: {
    type: 'string',
    enum: ['delete', 'compact', 'compact,delete'],
    default: 'delete',
    description: 'delete: by retention; compact: the newest record of each key stays; compact,delete: both',
  },
  deleteRetentionMs: duration('How long a compacted topic keeps a tombstone', 86_400_000, 0),
  maxMessageBytes: size('The largest batch of records a client may send', 1_048_576),
  archive: section('Where sealed segments go when they are no longer new', {
    to: {
      type: 'string',
      minLength: 1,
      default: NO_ARCHIVE,
      description: 'The engine instance they go to, such as one on S3; none: they stay',
    },
    after: duration('From so long after their newest append', 600_000),
    keepLocal: duration("Until so long after their newest append a copy stays on the topic's own engine", 3_600_000, 0),
  }),
};

/** The same settings without defaults, each optional: a rule, or a request to alter a topic (where `null` resets). */
export function topicOverrides(options: { readonly nullable: boolean }): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(
    Object.entries(TOPIC_SETTINGS).map(([name, schema]) => [name, withoutDefaults(schema, options.nullable)]),
  );
}

function withoutDefaults(schema: JsonSchema, nullable: boolean): JsonSchema {
  const { default: _, ...rest } = schema;
  if (typeof rest.properties === 'object' && rest.properties !== null) {
    // keywords are data here; `section` above made this one
    const properties = rest.properties as Readonly<Record<string, JsonSchema>>;
    return {
      ...rest,
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, inner]) => [name, withoutDefaults(inner, nullable)]),
      ),
    };
  }
  if (!nullable) return rest;
  const { enum: values, ...open } = rest;
  return { ...open, type: [rest.type, 'null'], ...(Array.isArray(values) ? { enum: [...values, null] } : {}) };
}

const PLUGIN_USE: JsonSchema = {
  type: 'string',
  minLength: 1,
  description: 'A first-party name, a package, or a ./path',
};

/** All settings but the plug-ins' own, which are checked by the plug-ins' schemas afterwards. */
export const CORE_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    data: {
      type: 'string',
      minLength: 1,
      default: './data',
      description: 'The data directory; a relative path in a file counts from the folder of the file',
    },
    node: section('This node', {
      id: { type: 'integer', minimum: 0, maximum: 2_147_483_647, default: 1, description: 'Number of the node' },
      drainTimeoutMs: duration('How long a stop waits for what is in flight', 10_000, 0),
    }),
    engines: {
      type: 'object',
      description: 'Engine instances by name; local (local-file) and memory (memory) are there without being named',
      default: {},
      propertyNames: INSTANCE_NAME,
      additionalProperties: { type: 'object', required: ['use'], properties: { use: PLUGIN_USE } },
    },
    topics: {
      type: 'array',
      description: 'Rules for topics: the first whose pattern matches the name gives the settings it names',
      default: [],
      maxItems: 1000,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['match'],
        properties: {
          match: {
            type: 'string',
            minLength: 1,
            maxLength: 249,
            description: 'A pattern over topic names: * stands for any run of characters, ? for one',
          },
          ...topicOverrides({ nullable: false }),
        },
      },
    },
    defaults: section('Settings of topics where neither the topic nor a rule says otherwise', TOPIC_SETTINGS),
    autoCreateTopics: {
      type: 'boolean',
      default: true,
      description: 'May a topic come into being because a client uses it?',
    },
    brokers: {
      type: 'object',
      description: 'Protocols by name; mqtt and kafka are on unless enabled is false',
      default: {},
      propertyNames: INSTANCE_NAME,
      additionalProperties: {
        type: 'object',
        properties: {
          use: PLUGIN_USE,
          enabled: { type: 'boolean', default: true, description: 'false: this broker is not started' },
        },
      },
    },
    admin: section('Admin HTTP: health, metrics, topics', {
      host: { type: 'string', minLength: 1, default: '127.0.0.1', description: 'Address to bind' },
      port: port(9644, 'the Admin HTTP'),
    }),
    log: section('Log of the node, on standard error', {
      level: {
        type: 'string',
        enum: ['debug', 'info', 'warn', 'error'],
        default: 'info',
        description: 'Least level that is written',
      },
      format: {
        type: 'string',
        enum: ['text', 'json'],
        default: 'text',
        description: 'Lines for people or for machines',
      },
    }),
    memory: section('Memory that input from outside may hold', {
      requestBytes: size('Bytes of requests between socket and engine, all brokers together', 134_217_728, 4_194_304),
    }),
    storage: section('Tuning of the storage layer', {
      deleteGraceMs: duration('How long a replaced or dropped segment stays readable', 60_000, 0),
      maintenanceIntervalMs: duration(
        'Time between two rounds of retention, merging, compaction, archiving and moves to another engine',
        30_000,
        10,
      ),
      recoverTimeoutMs: duration('How long an append waits for the recovery of a failed writer', 10_000),
      movesAtOnce: {
        type: 'integer',
        minimum: 1,
        maximum: 64,
        default: 2,
        description: 'Shards whose segments are archived, restored or moved to another engine at once',
      },
      manifestIntervalMs: duration('Time between two documents that say in an archive what it holds', 60_000, 10),
      shardWindowBytes: size('Bytes of appends one shard holds that are not yet durable', 8_388_608, 2_097_152),
    }),
  },
};

export interface PluginSchemas {
  /** By the name that stands behind `use`. */
  readonly engines: ReadonlyMap<string, JsonSchema>;
  /** By the broker's name in the config. */
  readonly brokers: ReadonlyMap<string, JsonSchema>;
}

/** One JSON Schema (draft-07) for the whole file, for editors: core's settings and those of the plug-ins at hand. */
export function composeSchema(plugins: PluginSchemas): JsonSchema {
  const properties = recordOf(CORE_SCHEMA.properties);
  const engines = recordOf(properties.engines);
  const brokers = recordOf(properties.brokers);
  const engineItem = recordOf(engines.additionalProperties);
  const brokerItem = recordOf(brokers.additionalProperties);
  return editorForm({
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'RobustMQ configuration',
    ...CORE_SCHEMA,
    properties: {
      ...properties,
      engines: {
        ...engines,
        properties: {
          local: instanceOf(engineItem, plugins.engines.get('local-file')),
          memory: instanceOf(engineItem, plugins.engines.get('memory')),
        },
        additionalProperties: {
          ...engineItem,
          allOf: [...plugins.engines].map(([use, schema]) => ({
            if: { properties: { use: { const: use } }, required: ['use'] },
            // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
            then: withOwn(schema, recordOf(engineItem.properties)),
          })),
        },
      },
      brokers: {
        ...brokers,
        properties: Object.fromEntries(
          [...plugins.brokers].map(([name, schema]) => [name, withOwn(schema, recordOf(brokerItem.properties))]),
        ),
      },
    },
  });
}

/** A predefined instance needs no `use`. */
function instanceOf(item: JsonSchema, schema: JsonSchema | undefined): JsonSchema {
  return withOwn(schema ?? { type: 'object' }, recordOf(item.properties));
}

function withOwn(schema: JsonSchema, own: JsonSchema): JsonSchema {
  return { ...schema, properties: { ...own, ...recordOf(inferUnits(schema).properties) } };
}

/** Editors don't know `unit`: they get the texts it allows as a pattern, and the keyword goes. */
function editorForm(schema: JsonSchema): JsonSchema {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner)]));
    const { unit, minimum, maximum, type, ...rest } = entries;
    if (unit !== 'ms' && unit !== 'bytes') return entries;
    const number = {
      type,
      ...(minimum === undefined ? {} : { minimum }),
      ...(maximum === undefined ? {} : { maximum }),
    };
    return { ...rest, anyOf: [number, { type: 'string', pattern: UNIT_PATTERNS[unit] }] };
  };
  // an object in, an object out
  return walk(schema) as JsonSchema;
}

function recordOf(value: unknown): Readonly<Record<string, JsonSchema>> {
  // keywords of schemas made in this file, or `properties` of a plug-in's schema that ajv has accepted
  return (value ?? {}) as Readonly<Record<string, JsonSchema>>;
}
