export const describeConfigsRequest = {
  versions: '1-4',
  flexible: '4+',
  fields: {
    resources: [
      { resourceType: 'int8', resourceName: 'string', configurationKeys: { type: ['string'], nullable: '0+' } },
    ],
    includeSynonyms: { type: 'bool', versions: '1+', default: false },
    includeDocumentation: { type: 'bool', versions: '3+', default: false },
  },
} as const;

export const describeConfigsResponse = {
  versions: '1-4',
  flexible: '4+',
  fields: {
    throttleTimeMs: { type: 'int32', default: 0 },
    results: [
      {
        errorCode: 'int16',
        errorMessage: { type: 'string', nullable: '0+' },
        resourceType: 'int8',
        resourceName: 'string',
        configs: [
          {
            name: 'string',
            value: { type: 'string', nullable: '0+' },
            readOnly: 'bool',
            configSource: { type: 'int8', versions: '1+', default: -1 },
            isSensitive: 'bool',
            synonyms: {
              type: [{ name: 'string', value: { type: 'string', nullable: '0+' }, source: 'int8' }],
              versions: '1+',
            },
            configType: { type: 'int8', versions: '3+', default: 0 },
            documentation: { type: 'string', versions: '3+', nullable: '0+' },
          },
        ],
      },
    ],
  },
} as const;
