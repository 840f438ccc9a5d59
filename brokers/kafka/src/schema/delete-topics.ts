export const deleteTopicsRequest = {
  versions: '1-6',
  flexible: '4+',
  fields: {
    topics: { type: [{ name: { type: 'string', nullable: '6+', default: null }, topicId: 'uuid' }], versions: '6+' },
    topicNames: { type: ['string'], versions: '0-5' },
    timeoutMs: 'int32',
  },
} as const;

export const deleteTopicsResponse = {
  versions: '1-6',
  flexible: '4+',
  fields: {
    throttleTimeMs: { type: 'int32', versions: '1+', default: 0 },
    responses: [
      {
        name: { type: 'string', nullable: '6+' },
        topicId: { type: 'uuid', versions: '6+' },
        errorCode: 'int16',
        errorMessage: { type: 'string', versions: '5+', nullable: '5+', default: null },
      },
    ],
  },
} as const;
