import type { Operation, Shard, Topic } from '@robustmq/core';
import { failure, failureOf, type KafkaFailure } from '../storage-errors.ts';
import { clientName, findTopic } from '../tenant.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import type { RequestContext } from './api.ts';

export interface TopicRef {
  /** Versions that name topics by id have no name here. */
  readonly name?: string | null;
  readonly topicId: string;
}

/** The topic that a request names, if the client may do `operation` on it. Names are authorized before they are looked up. */
export function topicFor(context: RequestContext, operation: Operation, ref: TopicRef): Topic | KafkaFailure {
  const { services, principal } = context;
  const byId = ref.topicId !== ZERO_UUID;
  const topic = findTopic(services.storage, principal, ref);
  const name = byId ? topic && clientName(principal, topic) : ref.name;
  if (typeof name === 'string' && !services.authorizer.authorize(principal, operation, { type: 'topic', name }))
    return failure('TOPIC_AUTHORIZATION_FAILED', `${principal.name} may not ${operation} topic ${name}`);
  if (topic !== undefined) return topic;
  return byId
    ? failure('UNKNOWN_TOPIC_ID', `no topic has the id ${ref.topicId}`)
    : failure('UNKNOWN_TOPIC_OR_PARTITION', `no topic is named ${ref.name}`);
}

/** A partition of that topic, if this node can serve it now. */
export function shardFor(context: RequestContext, topic: Topic, index: number): Shard | KafkaFailure {
  const { services, logger } = context;
  if (index < 0 || index >= topic.shards)
    return failure('UNKNOWN_TOPIC_OR_PARTITION', `${topic.name} has ${topic.shards} partitions, there is no ${index}`);
  const shard = services.storage.shard(topic, index);
  if (shard.unavailable !== undefined) return failureOf(shard.unavailable, logger);
  if (shard.owner !== services.node.id)
    return failure('NOT_LEADER_OR_FOLLOWER', `node ${shard.owner} leads ${topic.name}-${index}`);
  return shard;
}

/** KIP-320: a client that knows an older or a newer leader than we do has to learn first. -1: it does not ask. */
export function checkLeaderEpoch(told: number, ours: number): KafkaFailure | undefined {
  if (told < 0 || told === ours) return undefined;
  return told < ours
    ? failure('FENCED_LEADER_EPOCH', `the leader epoch is ${ours}, not ${told} any more`)
    : failure('UNKNOWN_LEADER_EPOCH', `the leader epoch is ${ours}, not yet ${told}`);
}

export function isFailure(value: object): value is KafkaFailure {
  return 'error' in value && 'code' in value;
}
