export const offsetForLeaderEpochRequest = {
  versions: '2-4',
  flexible: '4+',
  fields: {
    replicaId: { type: 'int32', versions: '3+', default: -2 },
    topics: [
      {
        topic: 'string',
        partitions: [
          {
            partition: 'int32',
            currentLeaderEpoch: { type: 'int32', versions: '2+', default: -1 },
            leaderEpoch: 'int32',
          },
        ],
      },
    ],
  },
} as const;

export const offsetForLeaderEpochResponse = {
  versions: '2-4',
  flexible: '4+',
  fields: {
    throttleTimeMs: { type: 'int32', versions: '2+', default: 0 },
    topics: [
      {
        topic: 'string',
        partitions: [
          {
            errorCode: 'int16',
            partition: 'int32',
            leaderEpoch: { type: 'int32', versions: '1+', default: -1 },
            endOffset: { type: 'int64', default: -1 },
          },
        ],
      },
    ],
  },
} as const;
