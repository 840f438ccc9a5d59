export const initProducerIdRequest = {
  versions: '0-5',
  flexible: '2+',
  fields: {
    transactionalId: { type: 'string', nullable: '0+' },
    transactionTimeoutMs: 'int32',
    producerId: { type: 'int64', versions: '3+', default: -1 },
    producerEpoch: { type: 'int16', versions: '3+', default: -1 },
  },
} as const;

export const initProducerIdResponse = {
  versions: '0-5',
  flexible: '2+',
  fields: {
    throttleTimeMs: { type: 'int32', default: 0 },
    errorCode: 'int16',
    producerId: { type: 'int64', default: -1 },
    producerEpoch: 'int16',
  },
} as const;
