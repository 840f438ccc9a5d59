import { findCoordinatorRequest, findCoordinatorResponse } from '../schema/find-coordinator.ts';
import { failure, type KafkaFailure } from '../storage-errors.ts';
import { type Api, defineApi } from './api.ts';

const GROUP = 0;
const TRANSACTION = 1;

/**
 * Consumer groups are not here yet: clients are told to ask again, which they do quietly while they read assigned partitions.
 * The API is listed because librdkafka takes it as the sign that a broker can hold LZ4 batches.
 */
export const findCoordinator: Api = defineApi({
  key: 10,
  name: 'FindCoordinator',
  request: findCoordinatorRequest,
  response: findCoordinatorResponse,
  handle(request, { services }) {
    const told = refusal(request.keyType);
    services.metrics.error(told.code);
    const nowhere = { nodeId: -1, host: '', port: -1, errorCode: told.code, errorMessage: told.message };
    return { ...nowhere, coordinators: request.coordinatorKeys.map((key) => ({ key, ...nowhere })) };
  },
});

function refusal(keyType: number): KafkaFailure {
  if (keyType === GROUP) return failure('COORDINATOR_NOT_AVAILABLE', 'consumer groups are not supported yet');
  if (keyType === TRANSACTION) return failure('INVALID_REQUEST', 'transactions are not supported yet');
  return failure('INVALID_REQUEST', `coordinator type ${keyType} is not supported`);
}
