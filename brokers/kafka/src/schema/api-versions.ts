export const apiVersionsRequest = {
  versions: '0-4',
  flexible: '3+',
  fields: {
    clientSoftwareName: { type: 'string', versions: '3+' },
    clientSoftwareVersion: { type: 'string', versions: '3+' },
  },
} as const;

export const apiVersionsResponse = {
  versions: '0-4',
  flexible: '3+',
  fields: {
    errorCode: 'int16',
    apiKeys: [{ apiKey: 'int16', minVersion: 'int16', maxVersion: 'int16' }],
    throttleTimeMs: { type: 'int32', versions: '1+', default: 0 },
    supportedFeatures: {
      type: [{ name: 'string', minVersion: 'int16', maxVersion: 'int16' }],
      versions: '3+',
      tag: 0,
    },
    finalizedFeaturesEpoch: { type: 'int64', versions: '3+', default: -1, tag: 1 },
    finalizedFeatures: {
      type: [{ name: 'string', maxVersionLevel: 'int16', minVersionLevel: 'int16' }],
      versions: '3+',
      tag: 2,
    },
    zkMigrationReady: { type: 'bool', versions: '3+', default: false, tag: 3 },
  },
} as const;
