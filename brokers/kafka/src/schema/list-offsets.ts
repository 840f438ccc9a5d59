export const listOffsetsRequest = {
  versions: '1-10',
  flexible: '6+',
  fields: {
    replicaId: 'int32',
    isolationLevel: { type: 'int8', versions: '2+' },
    topics: [
      {
        name: 'string',
        partitions: [
          {
            partitionIndex: 'int32',
            currentLeaderEpoch: { type: 'int32', versions: '4+', default: -1 },
            timestamp: 'int64',
          },
        ],
      },
    ],
    timeoutMs: { type: 'int32', versions: '10+' },
  },
} as const;

export const listOffsetsResponse = {
  versions: '1-10',
  flexible: '6+',
  fields: {
    throttleTimeMs: { type: 'int32', versions: '2+', default: 0 },
    topics: [
      {
        name: 'string',
        partitions: [
          {
            partitionIndex: 'int32',
            errorCode: 'int16',
            timestamp: { type: 'int64', versions: '1+', default: -1 },
            offset: { type: 'int64', versions: '1+', default: -1 },
            leaderEpoch: { type: 'int32', versions: '4+', default: -1 },
          },
        ],
      },
    ],
  },
} as const;
