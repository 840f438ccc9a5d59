import { serviceConformance } from '@robustmq/conformance';
import { afterAll, describe, it } from 'vitest';
import type { S3Server } from '../../../../test/real/s3-server.ts';
import engine from '../../src/index.ts';

const BUCKET = 'conformance';

/** All checks against a real server, through one of the client libraries. Short waits: what is proven is what is promised, not how patient it is. */
export function conformOn(start: () => Promise<S3Server>, client: 'aws' | 'minio'): void {
  let server: Promise<S3Server> | undefined;
  const started = async (): Promise<S3Server> => {
    const opened = await start();
    await opened.createBucket(BUCKET);
    return opened;
  };
  afterAll(async () => await (await server)?.stop());
  serviceConformance({
    describe,
    it,
    engine,
    // in CI what ran at length over a process is not run at length over a container again
    quick: process.env.ROBUST_CONFORMANCE_QUICK !== undefined,
    service: () => (server ??= started()),
    settings: ({ host, port, world }) => ({
      bucket: BUCKET,
      prefix: `${world}/`,
      endpoint: `http://${host}:${port}`,
      accessKeyId: 'robust-test',
      secretAccessKey: 'robust-test-secret',
      client,
      flushIntervalMs: 5,
      idleFlushMs: 1,
    }),
    module: import.meta.resolve('../../src/index.ts'),
  });
}
