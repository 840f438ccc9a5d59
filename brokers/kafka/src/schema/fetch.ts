export const fetchRequest = {
  versions: '4-17',
  flexible: '12+',
  fields: {
    clusterId: { type: 'string', versions: '12+', nullable: '12+', default: null, tag: 0 },
    replicaId: { type: 'int32', versions: '0-14', default: -1 },
    replicaState: {
      type: { replicaId: { type: 'int32', default: -1 }, replicaEpoch: { type: 'int64', default: -1 } },
      versions: '15+',
      tag: 1,
    },
    maxWaitMs: 'int32',
    minBytes: 'int32',
    maxBytes: { type: 'int32', versions: '3+', default: 0x7fffffff },
    isolationLevel: { type: 'int8', versions: '4+', default: 0 },
    sessionId: { type: 'int32', versions: '7+', default: 0 },
    sessionEpoch: { type: 'int32', versions: '7+', default: -1 },
    topics: [
      {
        topic: { type: 'string', versions: '0-12' },
        topicId: { type: 'uuid', versions: '13+' },
        partitions: [
          {
            partition: 'int32',
            currentLeaderEpoch: { type: 'int32', versions: '9+', default: -1 },
            fetchOffset: 'int64',
            lastFetchedEpoch: { type: 'int32', versions: '12+', default: -1 },
            logStartOffset: { type: 'int64', versions: '5+', default: -1 },
            partitionMaxBytes: 'int32',
            replicaDirectoryId: { type: 'uuid', versions: '17+', tag: 0 },
          },
        ],
      },
    ],
    forgottenTopicsData: {
      type: [
        {
          topic: { type: 'string', versions: '7-12' },
          topicId: { type: 'uuid', versions: '13+' },
          partitions: ['int32'],
        },
      ],
      versions: '7+',
    },
    rackId: { type: 'string', versions: '11+', default: '' },
  },
} as const;

export const fetchResponse = {
  versions: '4-17',
  flexible: '12+',
  fields: {
    throttleTimeMs: { type: 'int32', versions: '1+', default: 0 },
    errorCode: { type: 'int16', versions: '7+' },
    sessionId: { type: 'int32', versions: '7+', default: 0 },
    responses: [
      {
        topic: { type: 'string', versions: '0-12' },
        topicId: { type: 'uuid', versions: '13+' },
        partitions: [
          {
            partitionIndex: 'int32',
            errorCode: 'int16',
            highWatermark: 'int64',
            lastStableOffset: { type: 'int64', versions: '4+', default: -1 },
            logStartOffset: { type: 'int64', versions: '5+', default: -1 },
            divergingEpoch: {
              type: { epoch: { type: 'int32', default: -1 }, endOffset: { type: 'int64', default: -1 } },
              versions: '12+',
              tag: 0,
            },
            currentLeader: {
              type: { leaderId: { type: 'int32', default: -1 }, leaderEpoch: { type: 'int32', default: -1 } },
              versions: '12+',
              tag: 1,
            },
            snapshotId: {
              type: { endOffset: { type: 'int64', default: -1 }, epoch: { type: 'int32', default: -1 } },
              versions: '12+',
              tag: 2,
            },
            abortedTransactions: {
              type: [{ producerId: 'int64', firstOffset: 'int64' }],
              versions: '4+',
              nullable: '4+',
            },
            preferredReadReplica: { type: 'int32', versions: '11+', default: -1 },
            records: { type: 'records', nullable: '0+' },
          },
        ],
      },
    ],
    nodeEndpoints: {
      type: [
        { nodeId: 'int32', host: 'string', port: 'int32', rack: { type: 'string', nullable: '16+', default: null } },
      ],
      versions: '16+',
      tag: 0,
    },
  },
} as const;
