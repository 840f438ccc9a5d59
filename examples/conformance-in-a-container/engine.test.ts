import { after, describe, it } from 'node:test';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { serviceConformance } from '@robustmq/conformance';
import engine from '@robustmq/engine-s3';
import { GenericContainer, Wait } from 'testcontainers';

const PORT = 9000;
const BUCKET = 'conformance';
const [accessKeyId, secretAccessKey] = ['conformance', 'conformance-secret'];

// Docker Hub gives MinIO's to nobody without an account any more
const IMAGE = process.env.MINIO_IMAGE ?? 'quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z';
const container = await new GenericContainer(IMAGE)
  .withCommand(['server', '/data'])
  .withEnvironment({ MINIO_ROOT_USER: accessKeyId, MINIO_ROOT_PASSWORD: secretAccessKey })
  .withTmpFs({ '/data': 'rw' })
  .withExposedPorts(PORT)
  .withWaitStrategy(Wait.forHttp('/minio/health/ready', PORT).forStatusCode(200))
  .start();
after(() => container.stop());
const service = { host: container.getHost(), port: container.getMappedPort(PORT) };

// what your server needs before the first test: here a bucket
const client = new S3Client({
  endpoint: `http://${service.host}:${service.port}`,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: { accessKeyId, secretAccessKey },
});
await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
client.destroy();

serviceConformance({
  describe,
  it,
  engine,
  service,
  settings: ({ host, port, world }) => ({
    endpoint: `http://${host}:${port}`,
    bucket: BUCKET,
    prefix: `${world}/`,
    accessKeyId,
    secretAccessKey,
    // short waits make a shorter run
    flushIntervalMs: 5,
    idleFlushMs: 1,
  }),
  module: import.meta.resolve('@robustmq/engine-s3'),
});
