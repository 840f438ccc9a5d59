import type { Topic, TopicOverrides, TopicSettings } from '@robustmq/core';
import { failure, type KafkaFailure } from './storage-errors.ts';

/** A topic config of Kafka's, and the setting it stands for. */
interface TopicConfig {
  readonly name: string;
  /** Where the setting's origin is kept. */
  readonly path: string;
  readonly type: ConfigType;
  readonly about: string;
  /** @returns what to set, or what is wrong with the value. */
  parse(value: string): TopicOverrides | string;
  show(settings: TopicSettings): string;
}

/** Numbers of Kafka's config types. */
const CONFIG_TYPES = { string: 2, int: 3, long: 5, list: 7 } as const;
type ConfigType = keyof typeof CONFIG_TYPES;

export const TOPIC_CONFIGS: readonly TopicConfig[] = [
  integer('retention.ms', 'long', -1, 'How long records are kept; -1: for ever', {
    path: 'retention.ms',
    set: (ms) => ({ retention: { ms } }),
    get: (settings) => settings.retention.ms,
  }),
  integer('retention.bytes', 'long', -1, 'How many bytes a partition may keep; -1: no limit', {
    path: 'retention.bytes',
    set: (bytes) => ({ retention: { bytes } }),
    get: (settings) => settings.retention.bytes,
  }),
  integer('segment.bytes', 'int', 1, 'Size at which a segment is closed', {
    path: 'segment.bytes',
    set: (bytes) => ({ segment: { bytes } }),
    get: (settings) => settings.segment.bytes,
  }),
  integer('segment.ms', 'long', 1, 'Age at which a segment is closed', {
    path: 'segment.ms',
    set: (ms) => ({ segment: { ms } }),
    get: (settings) => settings.segment.ms,
  }),
  integer('delete.retention.ms', 'long', 0, 'How long a compacted topic keeps a tombstone', {
    path: 'deleteRetentionMs',
    set: (deleteRetentionMs) => ({ deleteRetentionMs }),
    get: (settings) => settings.deleteRetentionMs,
  }),
  integer('max.message.bytes', 'int', 0, 'Largest batch', {
    path: 'maxMessageBytes',
    set: (maxMessageBytes) => ({ maxMessageBytes }),
    get: (settings) => settings.maxMessageBytes,
  }),
  {
    name: 'cleanup.policy',
    path: 'cleanup',
    type: 'list',
    about: 'delete: by retention; compact: the newest record of each key stays',
    parse(value) {
      const cleanup = CLEANUP.get(
        value
          .split(',')
          .map((part) => part.trim())
          .toSorted()
          .join(','),
      );
      return cleanup === undefined ? 'it is delete, compact, or both with a comma' : { cleanup };
    },
    show: (settings) => settings.cleanup,
  },
  {
    name: 'robustmq.engine',
    path: 'engine',
    type: 'string',
    about: 'The engine instance that takes new segments',
    parse: (value) => (value === '' ? 'it names an engine instance' : { engine: value }),
    show: (settings) => settings.engine,
  },
];

/** What a topic is created with. `null` asks for the default. */
export function overridesOf(
  configs: readonly { readonly name: string; readonly value: string | null }[],
): TopicOverrides | KafkaFailure {
  let overrides: TopicOverrides = {};
  for (const { name, value } of configs) {
    const config = TOPIC_CONFIGS.find((one) => one.name === name);
    if (config === undefined) {
      const known = TOPIC_CONFIGS.map((one) => one.name).join(', ');
      return failure('INVALID_CONFIG', `unknown topic config ${name}; there are ${known}`);
    }
    if (value === null) continue;
    const parsed = config.parse(value);
    if (typeof parsed === 'string') return failure('INVALID_CONFIG', `${name} can't be ${value}: ${parsed}`);
    overrides = {
      ...overrides,
      ...parsed,
      ...(parsed.retention && { retention: { ...overrides.retention, ...parsed.retention } }),
      ...(parsed.segment && { segment: { ...overrides.segment, ...parsed.segment } }),
    };
  }
  return overrides;
}

export interface ShownConfig {
  readonly name: string;
  readonly value: string;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: boolean;
  readonly configType: number;
  readonly documentation: string;
}

/** Kafka's numbers for where a value comes from. */
const SOURCES = { topic: 1, rule: 4, default: 5 } as const;

export function shownConfigs(topic: Topic): readonly ShownConfig[] {
  return TOPIC_CONFIGS.map((config) => {
    const origin = topic.origins[config.path] ?? 'default';
    return {
      name: config.name,
      value: config.show(topic.settings),
      readOnly: false,
      configSource: origin === 'topic' ? SOURCES.topic : origin === 'default' ? SOURCES.default : SOURCES.rule,
      isSensitive: false,
      configType: CONFIG_TYPES[config.type],
      documentation: config.about,
    };
  });
}

const CLEANUP: ReadonlyMap<string, TopicSettings['cleanup']> = new Map([
  ['delete', 'delete'],
  ['compact', 'compact'],
  ['compact,delete', 'compact,delete'],
]);

function integer(
  name: string,
  type: ConfigType,
  least: number,
  about: string,
  at: {
    readonly path: string;
    readonly set: (value: number) => TopicOverrides;
    readonly get: (settings: TopicSettings) => number;
  },
): TopicConfig {
  return {
    name,
    path: at.path,
    type,
    about,
    parse(text) {
      // Kafka's tools send the largest int64 for "never"; nothing here needs more than a safe integer
      const value = Math.min(Number(text), Number.MAX_SAFE_INTEGER);
      return /^[+-]?\d+$/.test(text) && value >= least ? at.set(value) : `it is an integer of at least ${least}`;
    },
    show: (settings) => String(at.get(settings)),
  };
}
