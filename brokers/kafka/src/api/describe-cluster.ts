import { ERRORS } from '../error-codes.ts';
import { describeClusterRequest, describeClusterResponse } from '../schema/describe-cluster.ts';
import { type Api, defineApi } from './api.ts';
import { authorizedOperations } from './authorized-operations.ts';

const BROKERS = 1;

export const describeCluster: Api = defineApi({
  key: 60,
  name: 'DescribeCluster',
  request: describeClusterRequest,
  response: describeClusterResponse,
  handle(request, context) {
    const { services, principal, endpoint } = context;
    const { id, clusterId } = services.node;
    const shown = { endpointType: request.endpointType, clusterId };
    if (!services.authorizer.authorize(principal, 'describe', { type: 'cluster' }))
      return { ...shown, errorCode: ERRORS.CLUSTER_AUTHORIZATION_FAILED, brokers: [] };
    if (request.endpointType !== BROKERS)
      return {
        ...shown,
        errorCode: ERRORS.INVALID_REQUEST,
        errorMessage: 'only brokers are described here',
        brokers: [],
      };
    return {
      ...shown,
      errorCode: ERRORS.NONE,
      controllerId: id,
      brokers: [{ brokerId: id, ...endpoint, isFenced: false }],
      ...(request.includeClusterAuthorizedOperations && {
        clusterAuthorizedOperations: authorizedOperations(context, { type: 'cluster' }),
      }),
    };
  },
});
