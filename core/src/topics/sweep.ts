/** What is done for shards that are not in memory: those of deleted topics, and those nobody has asked for since the start. */
import type { TopicOverrides, TopicSettings } from '../adapter.ts';
import type { MetaEntry } from '../meta/port.ts';
import { type RowCodec, rowCodec } from '../meta/row.ts';
import { isUnsealed, type SegmentRow, segmentCodec, segmentIdPrefix } from '../shard/chain.ts';
import type { ShardEnvironment } from '../shard/environment.ts';
import { homeOf } from '../shard/homes.ts';
import { mayMove } from '../shard/moves.ts';
import type { TopicRow, TopicTable } from './table.ts';

const PAGE = 100;

/** A deleted topic, as {@link topicCodec} writes it, and when the last of its rows went. */
interface DeletedTopic extends TopicRow {
  readonly emptiedAt?: number;
}

const deletedCodec: RowCodec<DeletedTopic> = rowCodec('T', 1, (json) => {
  const { id, name, shards, overrides, emptiedAt } = json;
  if (typeof id !== 'string' || typeof name !== 'string' || typeof shards !== 'number')
    throw new Error('a field is missing');
  const row = { id, name, shards, overrides: (overrides ?? {}) as TopicOverrides }; // was checked before it was written
  return typeof emptiedAt === 'number' ? { ...row, emptiedAt } : row;
});

/** Deletes the segments and rows of deleted topics, as far as their engines let it; the rest is tried again next time. */
export async function sweepDeletedTopics(environment: ShardEnvironment): Promise<void> {
  for (let after: string | undefined, more = true; more; ) {
    const page = await environment.meta.list({
      prefix: 'deleting/',
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    for (const entry of page.entries) {
      if (environment.signal.aborted) return;
      await sweepEntry(environment, entry);
    }
    after = page.entries.at(-1)?.key;
    more = page.more && after !== undefined;
  }
}

/**
 * What the rows name goes at once. A segment that was being created or copied when the topic went has no row by then: after the grace
 * period the engines are asked.
 */
async function sweepEntry(environment: ShardEnvironment, entry: MetaEntry): Promise<void> {
  const { meta, random, clock, tuning } = environment;
  const topic = deletedCodec.decode(entry.value, entry.key);
  const now = clock.wall();
  const { emptiedAt = now } = topic;
  const isDue = now >= emptiedAt + tuning.deleteGraceMs;
  if (topic.emptiedAt !== undefined && !isDue) return;
  if (!(await sweepTopic(environment, topic.id))) return;
  if (isDue) {
    if (await sweepOrphans(environment, topic.id)) await remove(environment, [entry.key]);
    return;
  }
  await meta.commit({
    id: random.uuid(),
    guards: [{ key: entry.key, revision: entry.revision }],
    puts: [{ key: entry.key, value: deletedCodec.encode({ ...topic, emptiedAt }) }],
  });
}

/** @returns whether nothing is left. */
async function sweepOrphans(environment: ShardEnvironment, topicId: string): Promise<boolean> {
  const prefix = segmentIdPrefix(topicId);
  for (const { name, engine } of environment.engines.values()) {
    try {
      for (let ids = await engine.list({ prefix, limit: PAGE }); ids.length > 0; ) {
        for (const id of ids) await engine.delete(id);
        environment.counters.deletedSegments.value += ids.length;
        ids = await engine.list({ prefix, limit: PAGE, after: ids.at(-1) ?? '' });
      }
    } catch (error) {
      environment.logger.warn({ topicId, instance: name, err: error }, 'a deleted topic could not be swept yet');
      return false;
    }
  }
  return true;
}

/** @returns whether nothing is left. */
async function sweepTopic(environment: ShardEnvironment, topicId: string): Promise<boolean> {
  for (const prefix of [`chain/${topicId}/`, `copy/${topicId}/`]) {
    for (;;) {
      const { entries } = await environment.meta.list({ prefix, limit: PAGE });
      if (entries.length === 0) break;
      const done: string[] = [];
      for (const entry of entries) if (await deleteSegmentOf(environment, entry)) done.push(entry.key);
      await remove(environment, done);
      if (done.length < entries.length) return false;
    }
  }
  for (;;) {
    const { entries } = await environment.meta.list({ prefix: `shard/${topicId}/`, limit: PAGE });
    if (entries.length === 0) return true;
    await remove(
      environment,
      entries.map((entry) => entry.key),
    );
  }
}

async function deleteSegmentOf(environment: ShardEnvironment, entry: MetaEntry): Promise<boolean> {
  const {
    id,
    instance: name,
    incarnation,
  } = JSON.parse(Buffer.from(entry.value.subarray(4)).toString()) as Partial<SegmentRow>; // of either kind
  if (id === undefined || name === undefined) return true;
  environment.readers.drop(id);
  const instance = environment.engines.get(name);
  if (instance === undefined) return false; // not configured now
  if (incarnation !== undefined && incarnation !== instance.engine.incarnation) return true;
  if (!environment.mayDelete({ instance: name, id })) return false;
  try {
    await instance.engine.delete(id);
    environment.counters.deletedSegments.value++;
    return true;
  } catch (error) {
    environment.logger.warn({ segment: id, err: error }, 'a segment of a deleted topic could not be deleted yet');
    return false;
  }
}

async function remove(environment: ShardEnvironment, keys: readonly string[]): Promise<void> {
  if (keys.length > 0) await environment.meta.commit({ id: environment.random.uuid(), deletes: keys });
}

/** Shards that are not open and have a segment to be recovered, to be moved, to be deleted, or past its retention. */
export async function* unopenedInNeed(
  environment: ShardEnvironment,
  table: TopicTable,
  isOpen: (topicId: string, shard: number) => boolean,
): AsyncGenerator<{ topicId: string; shard: number }> {
  let offered = '';
  for (let after: string | undefined, more = true; more && !environment.signal.aborted; ) {
    const page = await environment.meta.list({ prefix: 'chain/', ...(after === undefined ? {} : { after }) });
    for (const entry of page.entries) {
      const [, topicId = '', shardText = ''] = entry.key.split('/');
      const shard = Number(shardText);
      const name = `${topicId}/${shardText}`;
      if (name === offered || isOpen(topicId, shard)) continue;
      const settings = table.byId(topicId)?.topic.settings;
      if (settings === undefined || !needsCare(environment, segmentCodec.decode(entry.value, entry.key), settings))
        continue;
      offered = name;
      yield { topicId, shard };
    }
    after = page.entries.at(-1)?.key;
    more = page.more && after !== undefined;
  }
}

function needsCare(environment: ShardEnvironment, row: SegmentRow, settings: TopicSettings): boolean {
  if (isUnsealed(row) || row.state === 'DELETING') return true;
  const wall = environment.clock.wall();
  const home = homeOf(row, settings, wall);
  if (row.state === 'SEALED' && home !== row.instance && mayMove(environment.engines, settings, row, home)) return true;
  return settings.retention.ms >= 0 && row.appendMaxTs + settings.retention.ms < wall;
}
