import { topicInTenant } from '@robustmq/broker-common';
import { isStorageError, type Topic } from '@robustmq/core';
import { ERRORS } from '../error-codes.ts';
import { createTopicsRequest, createTopicsResponse } from '../schema/create-topics.ts';
import type { Decoded } from '../schema/table.ts';
import { failure, failureOf, type KafkaFailure } from '../storage-errors.ts';
import { overridesOf, shownConfigs } from '../topic-configs.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import { type Api, defineApi, type RequestContext } from './api.ts';
import { isFailure } from './partition.ts';

type Wanted = Decoded<typeof createTopicsRequest>['topics'][number];

export const createTopics: Api = defineApi({
  key: 19,
  name: 'CreateTopics',
  request: createTopicsRequest,
  response: createTopicsResponse,
  async handle({ topics, validateOnly }, context) {
    const byName = new Map(topics.map((wanted) => [wanted.name, wanted]));
    const twice = new Set(topics.filter((wanted) => byName.get(wanted.name) !== wanted).map(({ name }) => name));
    const results = [...byName].map(async ([name, wanted]) => {
      const result = twice.has(name)
        ? failure('INVALID_REQUEST', `the request names ${name} more than once`)
        : await create(wanted, validateOnly, context);
      return isFailure(result) ? refusal(name, result, context) : created(name, result, validateOnly);
    });
    return { topics: await Promise.all(results) };
  },
});

async function create(wanted: Wanted, validateOnly: boolean, context: RequestContext): Promise<Topic | KafkaFailure> {
  const { services, principal, logger } = context;
  if (!services.authorizer.authorize(principal, 'create', { type: 'topic', name: wanted.name }))
    return failure('TOPIC_AUTHORIZATION_FAILED', `${principal.name} may not create topic ${wanted.name}`);
  const shards = partitionCount(wanted, services.node.id);
  if (typeof shards === 'object') return shards;
  const overrides = overridesOf(wanted.configs);
  if (isFailure(overrides)) return overrides;
  try {
    return await services.storage.createTopic(topicInTenant(principal, wanted.name), {
      overrides: shards === undefined ? overrides : { ...overrides, shards },
      validateOnly,
    });
  } catch (error) {
    const told = failureOf(error, logger);
    // the store has one code for names and settings, Kafka has two
    const settings = isStorageError(error, 'TOPIC_INVALID', 'NOT_SUPPORTED') && TOPIC_NAME.test(wanted.name);
    return settings ? failure('INVALID_CONFIG', told.message) : told;
  }
}

/** Kafka's rule, and the store's. */
const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/;

/** @returns undefined for the default */
function partitionCount(wanted: Wanted, nodeId: number): number | undefined | KafkaFailure {
  const { numPartitions, replicationFactor, assignments } = wanted;
  if (assignments.length > 0) {
    const asked = assignments.toSorted((a, b) => a.partitionIndex - b.partitionIndex);
    const served = asked.every(
      ({ partitionIndex, brokerIds }, i) => partitionIndex === i && brokerIds.length === 1 && brokerIds[0] === nodeId,
    );
    if (served) return assignments.length;
    return failure('INVALID_REPLICA_ASSIGNMENT', `each partition from 0 on goes to node ${nodeId}, and to no other`);
  }
  if (replicationFactor !== -1 && replicationFactor !== 1)
    return failure(
      'INVALID_REPLICATION_FACTOR',
      `replication factor ${replicationFactor}: a partition has one owner here, durability is its engine's; use 1 or -1`,
    );
  if (numPartitions === -1) return undefined;
  return numPartitions > 0 ? numPartitions : failure('INVALID_PARTITIONS', `${numPartitions} partitions`);
}

function refusal(name: string, told: KafkaFailure, { services }: RequestContext) {
  services.metrics.error(told.code);
  return { name, topicId: ZERO_UUID, errorCode: told.code, errorMessage: told.message, configs: [] };
}

function created(name: string, topic: Topic, validateOnly: boolean) {
  return {
    name,
    topicId: validateOnly ? ZERO_UUID : topic.id,
    errorCode: ERRORS.NONE,
    errorMessage: null,
    numPartitions: topic.shards,
    replicationFactor: 1,
    configs: shownConfigs(topic),
  };
}
