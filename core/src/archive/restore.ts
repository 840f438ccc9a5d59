/**
 * Topics and chains from the store of an archive, into a Meta that does not know them. Nothing is copied: the segments stay where they lie, and the
 * instance has them from then on. The steps, in this order, so that one that is interrupted can be done again: a note in Meta that a restore has begun ->
 * the engine's own rows -> chains -> each topic's row, by which it comes to be -> the note goes. A node does not start on a Meta with the note.
 */
import { NO_ARCHIVE, type TopicSettings } from '../adapter.ts';
import { metaOfInstance } from '../engine/scoped-meta.ts';
import type { ArchiveReader } from '../engine.ts';
import { isStorageError, RobustError, StorageError } from '../errors.ts';
import type { Meta, MetaMutation } from '../meta/port.ts';
import { type RowCodec, rowCodec } from '../meta/row.ts';
import { headCodec, headKey, liveKey, segmentCodec, segmentKey } from '../shard/chain.ts';
import { mergeOverrides } from '../topics/settings.ts';
import { topicCodec, topicKey } from '../topics/table.ts';
import type { Clock, Random } from '../world.ts';
import type { ArchivedSegment, ArchivedTopic, ArchiveManifest } from './manifest.ts';
import { type ManifestRow, manifestKey, manifestRowCodec } from './manifest-row.ts';
import { manifestNumbers } from './open-archive.ts';
import { type RestoredChain, restoredChain } from './restored-chain.ts';
import { compareObjects, type StrayObject } from './verify.ts';

export interface RestoreOptions {
  readonly meta: Meta;
  readonly clock: Clock;
  readonly random: Random;
  readonly reader: ArchiveReader;
  readonly manifest: ArchiveManifest;
  /** As the archive's instance is named in the new cluster. */
  readonly instance: string;
  /** Names of all its instances, */
  readonly engines: ReadonlySet<string>;
  /** and the one for topics whose own is not among them. */
  readonly defaultEngine: string;
  /** Told of each object that holds segments and is not in the manifest, later than it or not: it is in no topic. */
  readonly stray?: (object: StrayObject) => void;
}

export interface RestoreReport {
  readonly topics: readonly RestoredTopic[];
}

export interface RestoredTopic {
  readonly name: string;
  readonly engine: string;
  readonly shards: readonly RestoredShard[];
}

export interface RestoredShard {
  readonly shard: number;
  readonly logStart: number;
  /** Where new records go on. */
  readonly next: number;
  readonly segments: number;
  readonly bytes: number;
  /** Offsets between `logStart` and `next` that are not in the archive. */
  readonly holes: readonly { readonly base: number; readonly end: number }[];
}

interface Note {
  readonly cluster: string;
  readonly manifest: number;
  readonly instance: string;
}

const NOTE_KEY = 'restore';
const noteCodec: RowCodec<Note> = rowCodec('N', 1, ({ cluster, manifest, instance }) => {
  if (typeof cluster !== 'string' || typeof manifest !== 'number' || typeof instance !== 'string')
    throw new Error('a field is missing');
  return { cluster, manifest, instance };
});
/** Rows of one commit. */
const MAX_ROWS = 100;
const ADOPTED_AT_ONCE = 1000;
const OPENED_AT_ONCE = 16;

/** @throws RESTORE_UNFINISHED */
export async function refuseHalfRestored(meta: Meta): Promise<void> {
  const found = await meta.get(NOTE_KEY);
  if (found !== undefined) throw unfinished(noteCodec.decode(found.value, found.key));
}

/** @throws TOPIC_EXISTS, INSTANCE_CHANGED, RESTORE_UNFINISHED, IO_ERROR, CORRUPT */
export async function restoreArchive(options: RestoreOptions): Promise<RestoreReport> {
  const { meta, random, reader, manifest, instance } = options;
  const isAgain = await begin(options);
  const { strays, missing } = compareObjects(reader, manifest);
  for await (const object of strays) options.stray?.(object);
  const gone = await goneOf(options, missing);
  const isThere = ({ id }: ArchivedSegment): boolean => !gone.has(id);
  const incarnation = await adoptAll(options, isThere);
  const elapsedMs = options.clock.wall() - manifest.writtenAt;
  await putNumbers(options);
  const topics: RestoredTopic[] = [];
  for (const topic of manifest.topics) {
    const chains = Array.from({ length: topic.shardCount }, (_, shard) =>
      restoredChain(
        topic.shards.find((candidate) => candidate.shard === shard),
        { topicId: topic.id, shard, instance, incarnation, elapsedMs, isThere },
      ),
    );
    const engine = settingsFor(topic, options).engine;
    topics.push({ name: topic.name, engine, shards: chains.map(reportOf) });
    if (isAgain && (await meta.get(topicKey(topic.name))) !== undefined) continue; // it came to be the last time
    for (const [shard, chain] of chains.entries()) await putChain(options, topic.id, shard, chain);
    await putTopic(options, topic);
  }
  await meta.commit({ id: random.uuid(), deletes: [NOTE_KEY] });
  return { topics };
}

/** @returns whether the same restore was begun before. */
async function begin({ meta, random, manifest, instance, reader }: RestoreOptions): Promise<boolean> {
  const note: Note = { cluster: reader.cluster, manifest: manifest.number, instance };
  const found = await meta.get(NOTE_KEY);
  if (found !== undefined) {
    const before = noteCodec.decode(found.value, found.key);
    if (before.cluster !== note.cluster || before.manifest !== note.manifest || before.instance !== instance)
      throw unfinished(before);
    return true;
  }
  for (const { name } of manifest.topics)
    if ((await meta.get(topicKey(name))) !== undefined)
      throw new StorageError('TOPIC_EXISTS', `there is a topic ${name} already`, {
        hint: 'A restore goes into a new data directory: name one with --data',
      });
  const result = await meta.commit({
    id: random.uuid(),
    guards: [{ key: NOTE_KEY, revision: 0 }],
    puts: [{ key: NOTE_KEY, value: noteCodec.encode(note) }],
  });
  if (!result.ok) throw new StorageError('META_GUARD_FAILED', 'another restore has begun', { where: NOTE_KEY });
  return false;
}

/** A listing may lag: what it does not show is `missing`, and gone only when it can not be opened either. */
async function goneOf({ reader, manifest }: RestoreOptions, missing: ReadonlySet<string>): Promise<Set<string>> {
  const doubtful = segmentsIn(manifest).filter(({ place }) => missing.has(reader.objectOf(place)));
  const gone = new Set<string>();
  const look = async ({ id, place }: ArchivedSegment): Promise<void> => {
    try {
      await (await reader.openReader(place)).close();
    } catch (error) {
      if (isStorageError(error, 'SEGMENT_LOST')) gone.add(id);
      // damaged, it is there: whoever reads it is told
      else if (!isStorageError(error, 'CORRUPT')) throw error;
    }
  };
  for (let at = 0; at < doubtful.length; at += OPENED_AT_ONCE)
    await Promise.all(doubtful.slice(at, at + OPENED_AT_ONCE).map(look));
  return gone;
}

async function adoptAll(
  { meta, manifest, reader, instance }: RestoreOptions,
  isThere: (segment: ArchivedSegment) => boolean,
): Promise<string> {
  const scoped = metaOfInstance(meta, instance);
  const segments = segmentsIn(manifest).filter(isThere);
  let { incarnation } = await reader.adopt(scoped, segments.slice(0, ADOPTED_AT_ONCE));
  for (let at = ADOPTED_AT_ONCE; at < segments.length; at += ADOPTED_AT_ONCE)
    ({ incarnation } = await reader.adopt(scoped, segments.slice(at, at + ADOPTED_AT_ONCE)));
  return incarnation;
}

/** The next manifest is a newer one than all that lie there, finished or not. */
async function putNumbers({ meta, random, reader, manifest, instance }: RestoreOptions): Promise<void> {
  const numbers = await manifestNumbers(reader);
  const { number, pages, writtenAt } = manifest;
  const row: ManifestRow = {
    next: Math.max(number, ...numbers.slice(-1)) + 1,
    // its digest is that of nothing, so that the new cluster says at once what it has
    durable: [{ number, pages, writtenAt, digest: '' }],
    cleared: numbers[0] ?? number,
  };
  await meta.commit({
    id: random.uuid(),
    puts: [{ key: manifestKey(instance), value: manifestRowCodec.encode(row) }],
  });
}

async function putChain(
  { meta, random }: RestoreOptions,
  topicId: string,
  shard: number,
  chain: RestoredChain,
): Promise<void> {
  const rows = [
    { key: headKey(topicId, shard), value: headCodec.encode(chain.head) },
    ...chain.rows.map((row) => ({ key: segmentKey(topicId, shard, row.seq), value: segmentCodec.encode(row) })),
  ];
  for (let at = 0; at < rows.length; at += MAX_ROWS)
    await meta.commit({ id: random.uuid(), puts: rows.slice(at, at + MAX_ROWS) });
}

async function putTopic(options: RestoreOptions, topic: ArchivedTopic): Promise<void> {
  const { meta, random } = options;
  const { id, name, shardCount } = topic;
  const { shards: _fixed, ...overrides } = mergeOverrides({}, settingsFor(topic, options));
  const mutation: MetaMutation = {
    id: random.uuid(),
    guards: [{ key: topicKey(name), revision: 0 }],
    puts: [
      { key: topicKey(name), value: topicCodec.encode({ id, name, shards: shardCount, overrides }) },
      { key: liveKey(id), value: new Uint8Array(0) },
    ],
  };
  const result = await meta.commit(mutation);
  if (!result.ok) throw new StorageError('TOPIC_EXISTS', `there is a topic ${name} already`);
}

/** As they were in force: what the rules of the new cluster say, a shorter retention for instance, must not touch what was restored. */
function settingsFor({ settings }: ArchivedTopic, options: RestoreOptions): TopicSettings {
  const { manifest, instance, engines, defaultEngine } = options;
  const renamed = (name: string): string | undefined => {
    if (name === manifest.instance) return instance;
    return engines.has(name) ? name : undefined;
  };
  const known = renamed(settings.engine);
  const engine = known ?? defaultEngine;
  // what is in the archive stays there until somebody says otherwise
  const to = renamed(settings.archive.to) ?? instance;
  return {
    ...settings,
    engine,
    engineSettings: known === undefined ? {} : settings.engineSettings,
    archive: { ...settings.archive, to: to === engine ? NO_ARCHIVE : to },
  };
}

function reportOf({ head, rows }: RestoredChain, shard: number): RestoredShard {
  const there = rows.filter(({ state }) => state === 'SEALED');
  return {
    shard,
    logStart: head.logStart,
    next: head.reserved,
    segments: there.length,
    bytes: there.reduce((sum, row) => sum + row.bytes, 0),
    holes: rows.filter(({ state }) => state === 'LOST').map(({ base, end }) => ({ base, end })),
  };
}

function segmentsIn({ topics }: ArchiveManifest): ArchivedSegment[] {
  return topics.flatMap(({ shards }) => shards.flatMap(({ segments }) => segments));
}

function unfinished({ cluster, manifest, instance }: Note): RobustError {
  return new RobustError(
    'RESTORE_UNFINISHED',
    `a restore of manifest ${manifest} of cluster ${cluster} into instance ${instance} was not finished`,
    { hint: 'Do it again with the same words, or begin with an empty data directory' },
  );
}
