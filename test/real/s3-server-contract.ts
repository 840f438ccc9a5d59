import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { S3Server } from './s3-server.ts';

const BUCKET = 'server-contract';

/** What tests may rely on of a server, however it was started. */
export function serverContract(name: string, start: () => Promise<S3Server>): void {
  describe(name, () => {
    let server: S3Server;
    let client: S3Client;
    const put = (key: string, body: string, create = false) =>
      client.send(
        new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body, ...(create ? { IfNoneMatch: '*' } : {}) }),
      );
    const get = async (key: string): Promise<string | undefined> =>
      (await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))).Body?.transformToString();

    beforeAll(async () => {
      server = await start();
      const { endpoint, region, accessKeyId, secretAccessKey } = server;
      client = new S3Client({
        endpoint,
        region,
        credentials: { accessKeyId, secretAccessKey },
        forcePathStyle: true,
        maxAttempts: 1,
        requestChecksumCalculation: 'WHEN_REQUIRED',
        requestHandler: { requestTimeout: 1000, throwOnRequestTimeout: true },
      });
      await server.createBucket(BUCKET);
    });
    afterAll(async () => {
      client?.destroy();
      await server?.stop();
    });

    test('puts, gets and lists', async () => {
      await put('a/1', 'one');
      await put('a/2', 'two');
      expect(await get('a/2')).toBe('two');
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'a/' }));
      expect(Contents.map(({ Key }) => Key)).toEqual(['a/1', 'a/2']);
    });

    test('lets exactly one of 12 creates win, on each of 50 keys, and keeps what the winner wrote', async () => {
      for (let key = 0; key < 50; key++) {
        const tries = Array.from({ length: 12 }, (_, who) => put(`race/${key}`, `writer ${who}`, true));
        const won = (await Promise.allSettled(tries)).flatMap(({ status }, who) =>
          status === 'fulfilled' ? [who] : [],
        );
        expect(won, `key ${key}`).toHaveLength(1);
        expect(await get(`race/${key}`)).toBe(`writer ${won[0]}`);
      }
    });

    test('answers nothing while it is paused, and goes on as before', async () => {
      await put('paused', 'before');
      await server.pause();
      const asked = get('paused').then(
        () => 'answered',
        () => 'silent',
      );
      try {
        expect(await asked).toBe('silent');
      } finally {
        await server.resume();
      }
      expect(await get('paused')).toBe('before');
    });

    test('has what it had after a kill and a start, on the same port', async () => {
      await put('kept', 'yes');
      await server.kill();
      await expect(get('kept')).rejects.toThrow();
      await server.start();
      expect(await get('kept')).toBe('yes');
    });
  });
}
