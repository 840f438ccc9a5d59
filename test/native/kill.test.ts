import { describe, test } from 'vitest';
import { eventually } from '../clients.ts';
import { namesBelow } from '../real/hdfs-request.ts';
import { startHdfs } from '../real/hdfs-server.ts';
import { startMinio } from '../real/s3-server.ts';
import { lakeOn } from './hdfs-lake.ts';
import { killedInTrouble } from './kills.ts';

const BUCKET = 'kills';

describe('a node that is killed while its store is in trouble has lost nothing, and doubled nothing', () => {
  test('on MinIO', async () => {
    const server = await startMinio();
    try {
      await server.createBucket(BUCKET);
      const { endpoint, accessKeyId, secretAccessKey } = server;
      const lake = { use: 's3', bucket: BUCKET, endpoint, accessKeyId, secretAccessKey };
      await killedInTrouble(server, { ...lake, flushIntervalMs: 20, requestTimeoutMs: '1s', patienceMs: '2s' });
    } finally {
      await server.stop();
    }
  }, 900_000);

  test('on HDFS', async () => {
    const server = await startHdfs();
    try {
      await killedInTrouble(server, lakeOn(server, { orphanGraceMs: '1s' }), async () => {
        // of lives that are over nothing is left that was not whole
        const lives = async (): Promise<string[]> =>
          (await namesBelow(server.nameNode, '/robust')).flatMap((name) => /\/tmp\/([^/]+)\//.exec(name)?.[1] ?? []);
        await eventually(lives, (left) => left.every((life) => life.startsWith('1-4-')));
      });
    } finally {
      await server.stop();
    }
  }, 900_000);
});
