import { ERRORS } from '../error-codes.ts';
import { deleteTopicsRequest, deleteTopicsResponse } from '../schema/delete-topics.ts';
import { failure, failureOf, type KafkaFailure } from '../storage-errors.ts';
import { clientName } from '../tenant.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import { type Api, defineApi, type RequestContext } from './api.ts';
import { isFailure, type TopicRef, topicFor } from './partition.ts';

export const deleteTopics: Api = defineApi({
  key: 20,
  name: 'DeleteTopics',
  request: deleteTopicsRequest,
  response: deleteTopicsResponse,
  async handle(request, context) {
    const refs: readonly TopicRef[] = [
      ...request.topics,
      ...request.topicNames.map((name) => ({ name, topicId: ZERO_UUID })),
    ];
    return { responses: await Promise.all(refs.map((ref) => remove(ref, context))) };
  },
});

async function remove(ref: TopicRef, context: RequestContext) {
  const { services, principal, logger } = context;
  const topic = topicFor(context, 'delete', ref);
  if (isFailure(topic)) return refusal(ref, topic, context);
  if (topic.internal) return refusal(ref, failure('INVALID_TOPIC_EXCEPTION', 'the system needs this topic'), context);
  try {
    await services.storage.deleteTopic(topic.name);
  } catch (error) {
    return refusal(ref, failureOf(error, logger), context);
  }
  return { name: clientName(principal, topic) ?? null, topicId: topic.id, errorCode: ERRORS.NONE };
}

function refusal({ name, topicId }: TopicRef, told: KafkaFailure, { services, version }: RequestContext) {
  services.metrics.error(told.code);
  const shownName = version < 6 ? (name ?? '') : (name ?? null);
  return { name: shownName, topicId, errorCode: told.code, errorMessage: told.message };
}
