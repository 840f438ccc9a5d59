import type { Shard } from '@robustmq/core';
import { ERRORS } from '../error-codes.ts';
import { offsetForLeaderEpochRequest, offsetForLeaderEpochResponse } from '../schema/offset-for-leader-epoch.ts';
import type { Decoded } from '../schema/table.ts';
import { failureOf, type KafkaFailure } from '../storage-errors.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import { type Api, defineApi, type RequestContext } from './api.ts';
import { checkLeaderEpoch, isFailure, shardFor, topicFor } from './partition.ts';

type Partition = Decoded<typeof offsetForLeaderEpochRequest>['topics'][number]['partitions'][number];

/** Where an epoch ended: how a consumer finds out whether the log it has read is still the log there is. */
export const offsetForLeaderEpoch: Api = defineApi({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  request: offsetForLeaderEpochRequest,
  response: offsetForLeaderEpochResponse,
  async handle(request, context) {
    const topics = request.topics.map(async ({ topic, partitions }) => {
      const found = topicFor(context, 'describe', { name: topic, topicId: ZERO_UUID });
      const answers = partitions.map((asked) =>
        answer(asked, isFailure(found) ? found : shardFor(context, found, asked.partition), context),
      );
      return { topic, partitions: await Promise.all(answers) };
    });
    return { topics: await Promise.all(topics) };
  },
});

async function answer(asked: Partition, target: Shard | KafkaFailure, context: RequestContext) {
  const { partition } = asked;
  const result = isFailure(target)
    ? target
    : await end(target, asked).catch((error: unknown) => failureOf(error, context.logger));
  if (!isFailure(result)) return { partition, errorCode: ERRORS.NONE, ...result };
  context.services.metrics.error(result.code);
  return { partition, errorCode: result.code };
}

async function end(
  shard: Shard,
  asked: Partition,
): Promise<KafkaFailure | { readonly leaderEpoch: number; readonly endOffset: number }> {
  const offsets = await shard.offsets();
  const stale = checkLeaderEpoch(asked.currentLeaderEpoch, offsets.epoch);
  if (stale !== undefined) return stale;
  const found = await shard.endOffsetForEpoch(asked.leaderEpoch);
  // as Kafka has it: an epoch that has gone with retention ended where the log begins
  if (found.epoch < 0) return { leaderEpoch: asked.leaderEpoch, endOffset: offsets.logStart };
  return { leaderEpoch: found.epoch, endOffset: found.end };
}
