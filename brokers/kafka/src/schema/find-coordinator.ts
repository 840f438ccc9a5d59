export const findCoordinatorRequest = {
  versions: '0-5',
  flexible: '3+',
  fields: {
    key: { type: 'string', versions: '0-3' },
    keyType: { type: 'int8', versions: '1+', default: 0 },
    coordinatorKeys: { type: ['string'], versions: '4+' },
  },
} as const;

export const findCoordinatorResponse = {
  versions: '0-5',
  flexible: '3+',
  fields: {
    throttleTimeMs: { type: 'int32', versions: '1+', default: 0 },
    errorCode: { type: 'int16', versions: '0-3' },
    errorMessage: { type: 'string', versions: '1-3', nullable: '1-3' },
    nodeId: { type: 'int32', versions: '0-3' },
    host: { type: 'string', versions: '0-3' },
    port: { type: 'int32', versions: '0-3' },
    coordinators: {
      type: [
        {
          key: 'string',
          nodeId: 'int32',
          host: 'string',
          port: 'int32',
          errorCode: 'int16',
          errorMessage: { type: 'string', nullable: '4+' },
        },
      ],
      versions: '4+',
    },
  },
} as const;
