import { systemClock } from '@robustmq/core';
import { afterAll, beforeAll, describe } from 'vitest';
import { type S3Server, startMinio, startVersitygw } from '../../../../test/real/s3-server.ts';
import { storeContract } from '../../../objects/test/store/contract.ts';
import { openStore } from '../../src/store/store.ts';
import { settingsOf } from '../support/settings.ts';

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
] as const)('%s', (_, start) => {
  let server: S3Server;

  beforeAll(async () => {
    server = await start();
    await server.createBucket('bucket');
  });
  afterAll(() => server.stop());

  for (const client of ['aws', 'minio'] as const)
    storeContract(`through the client ${client}`, {
      open: () => {
        const { endpoint, accessKeyId, secretAccessKey, region } = server;
        return openStore(settingsOf({ endpoint, client, region, accessKeyId, secretAccessKey }), systemClock);
      },
    });
});
