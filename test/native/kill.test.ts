import { describe, test } from 'vitest';
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
  }, 180_000);

  test('on HDFS', async () => {
    const server = await startHdfs();
    try {
      await killedInTrouble(server, lakeOn(server));
    } finally {
      await server.stop();
    }
  }, 180_000);
});
