import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { s3Proxy } from '../real/s3-proxy.ts';
import { startMinio, startVersitygw } from '../real/s3-server.ts';

test.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
] as const)(
  '%s takes what is signed for the proxy; a create whose reply is lost meets its own object',
  async (_, start) => {
    const server = await start();
    await server.createBucket('bucket');
    const proxy = await s3Proxy(server);
    const { accessKeyId, secretAccessKey, region } = server;
    const client = new S3Client({
      endpoint: proxy.endpoint,
      region,
      credentials: { accessKeyId, secretAccessKey },
      forcePathStyle: true,
      maxAttempts: 2,
    });
    try {
      proxy.rule({ kind: 'PUT', key: /^k$/, fault: { how: 'lose-reply' } });
      const create = new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: 'mine', IfNoneMatch: '*' });
      await expect(client.send(create)).rejects.toMatchObject({ $metadata: { httpStatusCode: 412 } });
      const found = await client.send(new GetObjectCommand({ Bucket: 'bucket', Key: 'k', Range: 'bytes=1-2' }));
      expect(await found.Body?.transformToString()).toBe('in');
      expect(proxy.count()).toEqual({ PUT: 2, GET: 1 });
    } finally {
      client.destroy();
      await proxy.close();
      await server.stop();
    }
  },
);
