import { topicInTenant } from '@robustmq/broker-common';
import type { Shard, Topic } from '@robustmq/core';
import { ERRORS } from '../error-codes.ts';
import { metadataRequest, metadataResponse } from '../schema/metadata.ts';
import type { Decoded } from '../schema/table.ts';
import { failure, failureOf, type KafkaFailure } from '../storage-errors.ts';
import { clientName } from '../tenant.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import { type Api, defineApi, type RequestContext } from './api.ts';
import { authorizedOperations } from './authorized-operations.ts';
import { isFailure, type TopicRef, topicFor } from './partition.ts';

type Request = Decoded<typeof metadataRequest>;

const NOT_TOLD = -2147483648;

export const metadata: Api = defineApi({
  key: 3,
  name: 'Metadata',
  request: metadataRequest,
  response: metadataResponse,
  async handle(request, context) {
    const { node } = context.services;
    const topics = isForAll(request, context) ? all(request, context) : named(request, context);
    return {
      brokers: [{ nodeId: node.id, ...context.endpoint }],
      clusterId: node.clusterId,
      controllerId: node.id,
      topics: await Promise.all(topics),
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? authorizedOperations(context, { type: 'cluster' })
        : NOT_TOLD,
      errorCode: ERRORS.NONE,
    };
  },
});

function isForAll({ topics }: Request, { version }: RequestContext): boolean {
  return topics === null || (version === 0 && topics.length === 0);
}

function all(request: Request, context: RequestContext) {
  const { storage, authorizer } = context.services;
  const visible = [...storage.topics()].filter((topic) => {
    const name = clientName(context.principal, topic);
    return name !== undefined && authorizer.authorize(context.principal, 'describe', { type: 'topic', name });
  });
  return visible.map((topic) => describe(topic, false, request, context));
}

function named(request: Request, context: RequestContext) {
  return (request.topics ?? []).map(async (ref) => {
    const found = await findOrCreate(ref, request, context);
    return isFailure(found) ? refusal(ref, found, context) : describe(found, true, request, context);
  });
}

async function findOrCreate(ref: TopicRef, request: Request, context: RequestContext): Promise<Topic | KafkaFailure> {
  const found = topicFor(context, 'describe', ref);
  if (!isFailure(found) || found.error !== 'UNKNOWN_TOPIC_OR_PARTITION' || !request.allowAutoTopicCreation)
    return found;
  const { services, principal, logger } = context;
  const name = ref.name ?? '';
  if (!services.authorizer.authorize(principal, 'create', { type: 'topic', name })) return found;
  try {
    return await services.storage.ensureTopic(topicInTenant(principal, name));
  } catch (error) {
    const told = failureOf(error, logger);
    // a client asks again for a topic without a leader, and gives up on most other codes
    return RETRIED.has(told.error) ? failure('LEADER_NOT_AVAILABLE', told.message) : told;
  }
}

const RETRIED: ReadonlySet<string> = new Set([
  'REQUEST_TIMED_OUT',
  'NOT_ENOUGH_REPLICAS',
  'KAFKA_STORAGE_ERROR',
  'NOT_LEADER_OR_FOLLOWER',
]);

function refusal({ name, topicId }: TopicRef, told: KafkaFailure, { services, version }: RequestContext) {
  services.metrics.error(told.code);
  // a topic that was asked for by an unknown id has no name, which versions before 12 can't say
  const shownName = topicId === ZERO_UUID || version < 12 ? (name ?? '') : null;
  return { errorCode: told.code, name: shownName, topicId, partitions: [] };
}

/**
 * Epochs are told for topics that were named: a shard has to be opened to know its own, and a list of all topics is no reason to open
 * all shards of the node.
 */
async function describe(topic: Topic, withEpochs: boolean, request: Request, context: RequestContext) {
  const name = clientName(context.principal, topic) ?? '';
  const shards = context.services.storage.shards(topic);
  return {
    errorCode: ERRORS.NONE,
    name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: await Promise.all(shards.map((shard) => partition(shard, withEpochs, context))),
    topicAuthorizedOperations: request.includeTopicAuthorizedOperations
      ? authorizedOperations(context, { type: 'topic', name })
      : NOT_TOLD,
  };
}

async function partition(shard: Shard, withEpoch: boolean, { services, version }: RequestContext) {
  const { owner, index } = shard;
  const here = shard.unavailable === undefined && owner === services.node.id;
  let leaderEpoch = -1;
  if (here && withEpoch && version >= 7)
    leaderEpoch = await shard.offsets().then(
      ({ epoch }) => epoch,
      () => -1,
    );
  return {
    errorCode: here ? ERRORS.NONE : ERRORS.LEADER_NOT_AVAILABLE,
    partitionIndex: index,
    leaderId: here ? owner : -1,
    leaderEpoch,
    replicaNodes: [owner],
    isrNodes: here ? [owner] : [],
    offlineReplicas: here ? [] : [owner],
  };
}
