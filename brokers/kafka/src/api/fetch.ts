import type { Isolation, Shard, ShardOffsets } from '@robustmq/core';
import { isStorageError } from '@robustmq/core';
import { ERRORS } from '../error-codes.ts';
import { fetchRequest, fetchResponse } from '../schema/fetch.ts';
import type { Decoded } from '../schema/table.ts';
import { failure, failureOf, type KafkaFailure } from '../storage-errors.ts';
import { type Answer, type Api, defineApi, type RequestContext } from './api.ts';
import { checkLeaderEpoch, isFailure, shardFor, topicFor } from './partition.ts';

type Request = Decoded<typeof fetchRequest>;
type Partition = Request['topics'][number]['partitions'][number];

/** An answer that has something may take so long, also for a client that does not wait. */
const LEAST_PATIENCE_MS = 500;

/** One partition of the request, and what has been read of it. */
interface Position {
  readonly asked: Partition;
  readonly shard: Shard | undefined;
  readonly chunks: Uint8Array[];
  from: number;
  bytes: number;
  offsets: ShardOffsets | undefined;
  failed: KafkaFailure | undefined;
  diverging: { readonly epoch: number; readonly endOffset: number } | undefined;
}

/**
 * Stored batches go into the answer as they are. With less than `minBytes` there, the request waits in the storage adapter,
 * without a timer of its own, and goes on from where it has read up to.
 */
export const fetch: Api = defineApi({
  key: 1,
  name: 'Fetch',
  request: fetchRequest,
  response: fetchResponse,
  async handle(request, context): Promise<Answer<typeof fetchResponse>> {
    // no session is ever opened: each answer carries session id 0, so clients send whole requests
    if (request.sessionId !== 0) return { errorCode: ERRORS.FETCH_SESSION_ID_NOT_FOUND, responses: [] };
    const topics = request.topics.map((topic) => {
      const found = topicFor(context, 'read', { name: topic.topic, topicId: topic.topicId });
      return topic.partitions.map((asked) =>
        position(asked, isFailure(found) ? found : shardFor(context, found, asked.partition)),
      );
    });
    // while this one reads, the next of the connection does not: what it holds is counted before more is read
    const release = context.hold();
    try {
      await collect(request, context, topics.flat(), release);
    } finally {
      release();
    }
    return {
      errorCode: ERRORS.NONE,
      responses: request.topics.map(({ topic, topicId }, i) => ({
        topic,
        topicId,
        partitions: (topics[i] ?? []).map((one) => answer(one, request, context)),
      })),
    };
  },
});

function position(asked: Partition, target: Shard | KafkaFailure): Position {
  const failed = isFailure(target)
    ? target
    : asked.fetchOffset < 0
      ? failure('OFFSET_OUT_OF_RANGE', `offset ${asked.fetchOffset}`)
      : undefined;
  return {
    asked,
    shard: isFailure(target) ? undefined : target,
    chunks: [],
    from: asked.fetchOffset,
    bytes: 0,
    offsets: undefined,
    failed,
    diverging: undefined,
  };
}

/** Reads until there is enough, or time is up, or there is something to say. */
async function collect(
  request: Request,
  context: RequestContext,
  positions: readonly Position[],
  beforeWait: () => void,
): Promise<void> {
  const { services } = context;
  const isolation: Isolation = request.isolationLevel === 1 ? 'stable' : 'committed';
  const most = Math.max(1, Math.min(request.maxBytes, services.settings.maxFetchBytes));
  const limit = Math.min(most, services.output.allowance());
  const now = services.clock.monotonic();
  const deadline = now + request.maxWaitMs;
  const until = now + Math.max(request.maxWaitMs, LEAST_PATIENCE_MS);
  let total = await readRound(context, positions, { limit, until, isolation });
  while (total < Math.min(request.minBytes, limit) && !positions.some(isNews) && !context.signal.aborted) {
    const waiting = positions.flatMap(({ shard, from, bytes, asked }) =>
      shard !== undefined && bytes < asked.partitionMaxBytes ? [{ shard, from }] : [],
    );
    const maxWaitMs = deadline - services.clock.monotonic();
    if (maxWaitMs <= 0 || (waiting.length === 0 && total > 0)) return;
    beforeWait();
    await services.storage.wait(waiting, { maxWaitMs, signal: context.signal });
    const more = await readRound(context, positions, {
      limit: Math.min(limit - total, services.output.allowance()),
      until,
      isolation,
      begun: total > 0,
    });
    // woken, and nothing to read: say so instead of spinning
    if (more === 0) return;
    total += more;
  }
}

function isNews({ failed, diverging }: Position): boolean {
  return failed !== undefined || diverging !== undefined;
}

interface Round {
  /** Bytes; the first batch of all is never too large. */
  readonly limit: number;
  /** From then on nothing more is begun, once anything was read. */
  readonly until: number;
  readonly isolation: Isolation;
  /** An earlier round has read something. */
  readonly begun?: boolean;
}

/**
 * Reads on in each position, in the order of the request, but first where it need not wait for others: a read of what is archived may take
 * its time, and an answer that comes too late is asked for again.
 */
async function readRound(
  context: RequestContext,
  positions: readonly Position[],
  { limit, until, isolation, begun = false }: Round,
): Promise<number> {
  const { clock } = context.services;
  let total = 0;
  for (const one of nearFirst(positions)) {
    const { shard } = one;
    if (shard === undefined || isNews(one) || context.signal.aborted) continue;
    const left = limit - total;
    const isMore = begun || total > 0;
    const full = isMore && (left <= 0 || clock.monotonic() >= until);
    if (full && one.offsets !== undefined) continue;
    const maxBytes = Math.max(1, Math.min(one.asked.partitionMaxBytes - one.bytes, left));
    try {
      if (full && (await isThere(one, shard))) continue;
      const read = await shard.read(one.from, { maxBytes, isolation, signal: context.signal });
      await check(one, shard, read.offsets);
      if (isNews(one) || read.bytes === 0) continue;
      if (read.bytes > left && isMore) continue;
      one.chunks.push(...read.chunks);
      one.from = read.next;
      one.bytes += read.bytes;
      total += read.bytes;
      context.holdOutput(read.bytes);
    } catch (error) {
      one.failed = failureOf(error, context.logger);
      if (isStorageError(error) && error.offsets !== undefined)
        one.offsets = {
          logStart: error.offsets.start,
          committed: error.offsets.end,
          lastStable: error.offsets.end,
          epoch: -1,
        };
    }
  }
  return total;
}

function nearFirst(positions: readonly Position[]): readonly Position[] {
  const near: Position[] = [];
  const archived: Position[] = [];
  for (const one of positions) ((one.shard?.isNear(one.from) ?? true) ? near : archived).push(one);
  return near.concat(archived);
}

/** For an answer that has no more room: where the log begins and ends, without a read. @returns false where a read has something to say */
async function isThere(one: Position, shard: Shard): Promise<boolean> {
  const offsets = await shard.offsets();
  if (one.from < offsets.logStart || one.from > offsets.committed) return false;
  await check(one, shard, offsets);
  return true;
}

async function check(one: Position, shard: Shard, offsets: ShardOffsets): Promise<void> {
  one.offsets = offsets;
  one.failed = checkLeaderEpoch(one.asked.currentLeaderEpoch, offsets.epoch);
  const { lastFetchedEpoch, fetchOffset } = one.asked;
  if (lastFetchedEpoch < 0 || one.failed !== undefined) return;
  // KIP-595: the client's history is not ours when its last epoch ended before where it wants to go on
  const { epoch, end } = await shard.endOffsetForEpoch(lastFetchedEpoch);
  // an epoch older than all we know of has gone with retention, and says nothing
  if (epoch >= 0 && (epoch < lastFetchedEpoch || end < fetchOffset)) one.diverging = { epoch, endOffset: end };
}

function answer(one: Position, request: Request, { services }: RequestContext) {
  if (one.failed !== undefined) services.metrics.error(one.failed.code);
  return {
    partitionIndex: one.asked.partition,
    errorCode: one.failed?.code ?? ERRORS.NONE,
    highWatermark: one.offsets?.committed ?? -1,
    lastStableOffset: one.offsets?.lastStable ?? -1,
    logStartOffset: one.offsets?.logStart ?? -1,
    divergingEpoch: one.diverging,
    abortedTransactions: request.isolationLevel === 1 ? [] : null,
    records: one.failed === undefined ? one.chunks : [],
  };
}
