import type { Shard } from '@robustmq/core';
import { ERRORS } from '../error-codes.ts';
import { listOffsetsRequest, listOffsetsResponse } from '../schema/list-offsets.ts';
import type { Decoded } from '../schema/table.ts';
import { failure, failureOf, type KafkaFailure } from '../storage-errors.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import { type Api, defineApi, type RequestContext } from './api.ts';
import { checkLeaderEpoch, isFailure, shardFor, topicFor } from './partition.ts';

type Request = Decoded<typeof listOffsetsRequest>;
type Partition = Request['topics'][number]['partitions'][number];

/** Timestamps that stand for a place in the log. */
const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
/** The earliest that is not in a remote tier: one log to us, wherever its segments are. */
const EARLIEST_LOCAL = -4;
/** The last that is in a remote tier: none as a client could tell. */
const LATEST_TIERED = -5;

interface Found {
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

const NOTHING: Found = { offset: -1, timestamp: -1, leaderEpoch: -1 };

export const listOffsets: Api = defineApi({
  key: 2,
  name: 'ListOffsets',
  request: listOffsetsRequest,
  response: listOffsetsResponse,
  async handle(request, context) {
    const topics = request.topics.map(async ({ name, partitions }) => {
      const found = topicFor(context, 'describe', { name, topicId: ZERO_UUID });
      const answers = partitions.map((asked) => {
        const target = isFailure(found) ? found : shardFor(context, found, asked.partitionIndex);
        return answer(asked, isFailure(target) ? target : find(target, asked, request.isolationLevel), context);
      });
      return { name, partitions: await Promise.all(answers) };
    });
    return { topics: await Promise.all(topics) };
  },
});

async function answer(asked: Partition, found: KafkaFailure | Promise<Found | KafkaFailure>, context: RequestContext) {
  let result: Found | KafkaFailure;
  try {
    result = await found;
  } catch (error) {
    result = failureOf(error, context.logger);
  }
  const { partitionIndex } = asked;
  if (!isFailure(result)) return { partitionIndex, errorCode: ERRORS.NONE, ...result };
  context.services.metrics.error(result.code);
  return { partitionIndex, errorCode: result.code, ...NOTHING };
}

async function find(shard: Shard, asked: Partition, isolationLevel: number): Promise<Found | KafkaFailure> {
  const offsets = await shard.offsets();
  const stale = checkLeaderEpoch(asked.currentLeaderEpoch, offsets.epoch);
  if (stale !== undefined) return stale;
  const end = isolationLevel === 1 ? offsets.lastStable : offsets.committed;
  switch (asked.timestamp) {
    case LATEST:
      return { offset: end, timestamp: -1, leaderEpoch: offsets.epoch };
    case EARLIEST:
    case EARLIEST_LOCAL:
      return { offset: offsets.logStart, timestamp: -1, leaderEpoch: -1 };
    case MAX_TIMESTAMP:
      return newest(shard, end);
    case LATEST_TIERED:
      return NOTHING;
    default:
      if (asked.timestamp < 0) return failure('INVALID_REQUEST', `timestamp ${asked.timestamp} means nothing`);
      return atOrAfter(shard, asked.timestamp, end);
  }
}

async function atOrAfter(shard: Shard, timestamp: number, end: number): Promise<Found> {
  const found = await shard.offsetForTimestamp(timestamp);
  return found === undefined || found.offset >= end ? NOTHING : { ...found, leaderEpoch: -1 };
}

/** The record with the largest timestamp: a search for the largest one at or after which there still is a record. */
async function newest(shard: Shard, end: number): Promise<Found> {
  let best = await atOrAfter(shard, 0, end);
  if (best === NOTHING) return NOTHING;
  let above = Number.MAX_SAFE_INTEGER;
  // doubling steps from a timestamp that exists: no record lies 2^53 ms ahead, and most lie close to each other
  for (let step = 1; best.timestamp < above - 1; ) {
    const probe = Math.min(best.timestamp + step, best.timestamp + Math.ceil((above - best.timestamp) / 2));
    const found = await atOrAfter(shard, probe, end);
    if (found === NOTHING) {
      above = probe;
      step = 1;
    } else {
      best = found;
      step *= 2;
    }
  }
  return best;
}
