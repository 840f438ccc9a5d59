export const metadataRequest = {
  versions: '0-13',
  flexible: '9+',
  fields: {
    topics: {
      type: [{ topicId: { type: 'uuid', versions: '10+' }, name: { type: 'string', nullable: '10+' } }],
      nullable: '1+',
    },
    allowAutoTopicCreation: { type: 'bool', versions: '4+', default: true },
    includeClusterAuthorizedOperations: { type: 'bool', versions: '8-10' },
    includeTopicAuthorizedOperations: { type: 'bool', versions: '8+' },
  },
} as const;

export const metadataResponse = {
  versions: '0-13',
  flexible: '9+',
  fields: {
    throttleTimeMs: { type: 'int32', versions: '3+', default: 0 },
    brokers: [
      {
        nodeId: 'int32',
        host: 'string',
        port: 'int32',
        rack: { type: 'string', versions: '1+', nullable: '1+', default: null },
      },
    ],
    clusterId: { type: 'string', versions: '2+', nullable: '2+', default: null },
    controllerId: { type: 'int32', versions: '1+', default: -1 },
    topics: [
      {
        errorCode: 'int16',
        name: { type: 'string', nullable: '12+' },
        topicId: { type: 'uuid', versions: '10+' },
        isInternal: { type: 'bool', versions: '1+', default: false },
        partitions: [
          {
            errorCode: 'int16',
            partitionIndex: 'int32',
            leaderId: 'int32',
            leaderEpoch: { type: 'int32', versions: '7+', default: -1 },
            replicaNodes: ['int32'],
            isrNodes: ['int32'],
            offlineReplicas: { type: ['int32'], versions: '5+' },
          },
        ],
        topicAuthorizedOperations: { type: 'int32', versions: '8+', default: -2147483648 },
      },
    ],
    clusterAuthorizedOperations: { type: 'int32', versions: '8-10', default: -2147483648 },
    errorCode: { type: 'int16', versions: '13+' },
  },
} as const;
