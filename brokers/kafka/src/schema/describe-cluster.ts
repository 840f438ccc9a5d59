export const describeClusterRequest = {
  versions: '0-2',
  flexible: '0+',
  fields: {
    includeClusterAuthorizedOperations: 'bool',
    endpointType: { type: 'int8', versions: '1+', default: 1 },
    includeFencedBrokers: { type: 'bool', versions: '2+' },
  },
} as const;

export const describeClusterResponse = {
  versions: '0-2',
  flexible: '0+',
  fields: {
    throttleTimeMs: { type: 'int32', default: 0 },
    errorCode: 'int16',
    errorMessage: { type: 'string', nullable: '0+', default: null },
    endpointType: { type: 'int8', versions: '1+', default: 1 },
    clusterId: 'string',
    controllerId: { type: 'int32', default: -1 },
    brokers: [
      {
        brokerId: 'int32',
        host: 'string',
        port: 'int32',
        rack: { type: 'string', nullable: '0+', default: null },
        isFenced: { type: 'bool', versions: '2+' },
      },
    ],
    clusterAuthorizedOperations: { type: 'int32', default: -2147483648 },
  },
} as const;
