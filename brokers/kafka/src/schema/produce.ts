/** Versions 0 to 2 can only carry the old message formats; they are listed because librdkafka wants to see them. */
export const produceRequest = {
  versions: '0-13',
  flexible: '9+',
  fields: {
    transactionalId: { type: 'string', versions: '3+', nullable: '3+', default: null },
    acks: 'int16',
    timeoutMs: 'int32',
    topicData: [
      {
        name: { type: 'string', versions: '0-12' },
        topicId: { type: 'uuid', versions: '13+' },
        partitionData: [{ index: 'int32', records: { type: 'records', nullable: '0+' } }],
      },
    ],
  },
} as const;

export const produceResponse = {
  versions: '0-13',
  flexible: '9+',
  fields: {
    responses: [
      {
        name: { type: 'string', versions: '0-12' },
        topicId: { type: 'uuid', versions: '13+' },
        partitionResponses: [
          {
            index: 'int32',
            errorCode: 'int16',
            baseOffset: 'int64',
            logAppendTimeMs: { type: 'int64', versions: '2+', default: -1 },
            logStartOffset: { type: 'int64', versions: '5+', default: -1 },
            recordErrors: {
              type: [
                {
                  batchIndex: 'int32',
                  batchIndexErrorMessage: { type: 'string', nullable: '8+', default: null },
                },
              ],
              versions: '8+',
            },
            errorMessage: { type: 'string', versions: '8+', nullable: '8+', default: null },
            currentLeader: {
              type: { leaderId: { type: 'int32', default: -1 }, leaderEpoch: { type: 'int32', default: -1 } },
              versions: '10+',
              tag: 0,
            },
          },
        ],
      },
    ],
    throttleTimeMs: { type: 'int32', versions: '1+', default: 0 },
    nodeEndpoints: {
      type: [
        { nodeId: 'int32', host: 'string', port: 'int32', rack: { type: 'string', nullable: '10+', default: null } },
      ],
      versions: '10+',
      tag: 0,
    },
  },
} as const;
