import { Ajv } from 'ajv';
import { NO_ARCHIVE, type TopicOverrides, type TopicSettings } from '../adapter.ts';
import type { Durability } from '../engine.ts';
import { StorageError } from '../errors.ts';
import type { EngineInstance } from '../storage-options.ts';

const NAME = /^[A-Za-z0-9._-]{1,249}$/;
const MAX_SHARDS = 10_000;
const MIN_SEGMENT_BYTES = 1024;

/** From nothing to the most an acknowledgement can mean. */
const RANK: Readonly<Record<Durability, number>> = { none: 0, fsync: 1, pipeline: 1, quorum: 2, 'object-store': 2 };

/** @throws TOPIC_INVALID */
export function checkTopicName(name: string): void {
  if (!NAME.test(name) || name === '.' || name === '..')
    throw new StorageError('TOPIC_INVALID', `${JSON.stringify(name.slice(0, 300))} is no topic name`, {
      hint: 'Use 1 to 249 letters, digits, ".", "_" and "-", but not "." or ".."',
    });
}

/** The settings make sense, and the engine can hold such a topic. @throws TOPIC_INVALID, ENGINE_UNKNOWN, NOT_SUPPORTED */
export function checkSettings(settings: TopicSettings, engines: ReadonlyMap<string, EngineInstance>): void {
  const engine = engines.get(settings.engine);
  if (engine === undefined)
    throw new StorageError('ENGINE_UNKNOWN', `no engine instance is named ${JSON.stringify(settings.engine)}`, {
      hint: `Configured are: ${[...engines.keys()].join(', ')}`,
    });
  if (!engine.capabilities.append)
    throw new StorageError('NOT_SUPPORTED', `engine ${settings.engine} takes whole segments only, not appends`, {
      hint: 'Use it as a cold tier',
    });
  wholeBetween('shards', settings.shards, 1, MAX_SHARDS);
  wholeBetween('retention.ms', settings.retention.ms, -1, Number.MAX_SAFE_INTEGER);
  wholeBetween('retention.bytes', settings.retention.bytes, -1, Number.MAX_SAFE_INTEGER);
  wholeBetween('segment.bytes', settings.segment.bytes, MIN_SEGMENT_BYTES, Number.MAX_SAFE_INTEGER);
  wholeBetween('segment.ms', settings.segment.ms, 1, Number.MAX_SAFE_INTEGER);
  wholeBetween('deleteRetentionMs', settings.deleteRetentionMs, 0, Number.MAX_SAFE_INTEGER);
  wholeBetween('maxMessageBytes', settings.maxMessageBytes, 1, Number.MAX_SAFE_INTEGER);
  if (settings.maxMessageBytes > engine.capabilities.maxBatchBytes)
    throw new StorageError(
      'NOT_SUPPORTED',
      `maxMessageBytes is ${settings.maxMessageBytes}, engine ${settings.engine} takes batches of up to ${engine.capabilities.maxBatchBytes}`,
    );
  if (!['delete', 'compact', 'compact,delete'].includes(settings.cleanup))
    throw new StorageError('TOPIC_INVALID', `cleanup is ${JSON.stringify(settings.cleanup)}`, {
      hint: 'It is one of: delete, compact, compact,delete',
    });
  checkEngineSettings(settings, engine);
  checkArchive(settings, engine, engines);
}

function checkArchive(
  settings: TopicSettings,
  engine: EngineInstance,
  engines: ReadonlyMap<string, EngineInstance>,
): void {
  const { to, after, keepLocal } = settings.archive;
  wholeBetween('archive.after', after, 1, Number.MAX_SAFE_INTEGER);
  wholeBetween('archive.keepLocal', keepLocal, 0, Number.MAX_SAFE_INTEGER);
  if (to === NO_ARCHIVE) return;
  const target = engines.get(to);
  if (target === undefined)
    throw new StorageError('ENGINE_UNKNOWN', `no engine instance is named ${JSON.stringify(to)} (archive.to)`, {
      hint: `Configured are: ${[...engines.keys()].join(', ')}`,
    });
  if (target === engine)
    throw new StorageError(
      'TOPIC_INVALID',
      `engine and archive.to are both ${to}: what lies there already is not archived there`,
      {
        hint: 'Say archive.to none (--archive-to none), or name another engine instance for one of the two',
      },
    );
  if (target.capabilities.maxBatchBytes < settings.maxMessageBytes)
    throw new StorageError(
      'NOT_SUPPORTED',
      `maxMessageBytes is ${settings.maxMessageBytes}, engine ${to} takes batches of up to ${target.capabilities.maxBatchBytes}`,
    );
  if (target.capabilities.durability === 'none')
    throw new StorageError('NOT_SUPPORTED', `engine ${to} keeps nothing past its process: it is no archive`);
}

/** @throws TOPIC_INVALID: the number of shards is fixed when a topic is created */
export function checkAlterable(changes: TopicOverrides, shards: number): void {
  if (changes.shards !== undefined && changes.shards !== shards)
    throw new StorageError('TOPIC_INVALID', `the topic has ${shards} shards, and that can not be changed yet`);
}

export function isWeaker(to: EngineInstance, than: EngineInstance): boolean {
  return RANK[to.capabilities.durability] < RANK[than.capabilities.durability];
}

/** @throws WEAKER_DURABILITY */
export function checkDurability(from: EngineInstance | undefined, to: EngineInstance, allowed: boolean): void {
  if (from === undefined || allowed || !isWeaker(to, from)) return;
  throw new StorageError(
    'WEAKER_DURABILITY',
    `engine ${to.name} promises ${to.capabilities.durability}, ${from.name} promises ${from.capabilities.durability}`,
    { hint: 'Say --allow-weaker-durability if you mean it' },
  );
}

function checkEngineSettings(settings: TopicSettings, engine: EngineInstance): void {
  const schema = engine.definition.segmentConfigSchema;
  if (schema === undefined) {
    if (Object.keys(settings.engineSettings).length === 0) return;
    throw new StorageError('TOPIC_INVALID', `engine ${engine.name} takes no settings per topic`, {
      hint: `Remove engineSettings.${Object.keys(settings.engineSettings)[0]}`,
    });
  }
  const ajv = new Ajv({ strict: false, allErrors: true });
  if (ajv.validate(schema, settings.engineSettings)) return;
  throw new StorageError(
    'TOPIC_INVALID',
    `engineSettings: ${ajv.errorsText(ajv.errors, { dataVar: 'engineSettings' })}`,
  );
}

function wholeBetween(path: string, value: number, low: number, high: number): void {
  if (Number.isSafeInteger(value) && value >= low && value <= high) return;
  throw new StorageError(
    'TOPIC_INVALID',
    `${path} is ${value}, it must be a whole number from ${low}${high < 2 ** 50 ? ` to ${high}` : ''}`,
  );
}
