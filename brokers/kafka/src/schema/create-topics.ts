export const createTopicsRequest = {
  versions: '2-7',
  flexible: '5+',
  fields: {
    topics: [
      {
        name: 'string',
        numPartitions: 'int32',
        replicationFactor: 'int16',
        assignments: [{ partitionIndex: 'int32', brokerIds: ['int32'] }],
        configs: [{ name: 'string', value: { type: 'string', nullable: '0+' } }],
      },
    ],
    timeoutMs: { type: 'int32', default: 60000 },
    validateOnly: { type: 'bool', versions: '1+', default: false },
  },
} as const;

export const createTopicsResponse = {
  versions: '2-7',
  flexible: '5+',
  fields: {
    throttleTimeMs: { type: 'int32', versions: '2+', default: 0 },
    topics: [
      {
        name: 'string',
        topicId: { type: 'uuid', versions: '7+' },
        errorCode: 'int16',
        errorMessage: { type: 'string', versions: '1+', nullable: '0+' },
        topicConfigErrorCode: { type: 'int16', versions: '5+', tag: 0 },
        numPartitions: { type: 'int32', versions: '5+', default: -1 },
        replicationFactor: { type: 'int16', versions: '5+', default: -1 },
        configs: {
          type: [
            {
              name: 'string',
              value: { type: 'string', nullable: '5+' },
              readOnly: 'bool',
              configSource: { type: 'int8', default: -1 },
              isSensitive: 'bool',
            },
          ],
          versions: '5+',
          nullable: '5+',
        },
      },
    ],
  },
} as const;
