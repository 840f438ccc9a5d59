import { ERRORS } from '../error-codes.ts';
import { initProducerIdRequest, initProducerIdResponse } from '../schema/init-producer-id.ts';
import { failure, failureOf, type KafkaFailure } from '../storage-errors.ts';
import { type Api, defineApi, type RequestContext } from './api.ts';
import { isFailure } from './partition.ts';

/** A new producer id for each call: an idempotent producer that asks again begins a new history. */
export const initProducerId: Api = defineApi({
  key: 22,
  name: 'InitProducerId',
  request: initProducerIdRequest,
  response: initProducerIdResponse,
  async handle({ transactionalId }, context) {
    const result = transactionalId === null ? await allocate(context) : refusal();
    if (!isFailure(result)) return { errorCode: ERRORS.NONE, ...result };
    context.services.metrics.error(result.code);
    context.logger.info({ clientId: context.clientId }, `no producer id: ${result.message}`);
    return { errorCode: result.code, producerEpoch: -1 };
  },
});

function refusal(): KafkaFailure {
  return failure('INVALID_REQUEST', 'transactions are not supported yet');
}

async function allocate({
  services,
  principal,
  logger,
}: RequestContext): Promise<KafkaFailure | { readonly producerId: number; readonly producerEpoch: number }> {
  if (!services.authorizer.authorize(principal, 'write', { type: 'cluster' }))
    return failure('CLUSTER_AUTHORIZATION_FAILED', `${principal.name} may not write`);
  try {
    return { producerId: await services.storage.allocateProducerId(), producerEpoch: 0 };
  } catch (error) {
    return failureOf(error, logger);
  }
}
