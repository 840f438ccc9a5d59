import { serviceConformance } from '@robustmq/conformance';
import { afterAll, describe, it } from 'vitest';
import type { S3Server } from '../../../../test/real/s3-server.ts';
import engine from '../../src/index.ts';

const BUCKET = 'conformance';
const QUICK = process.env.ROBUST_CONFORMANCE_QUICK;

/**
 * All checks against a real server, through one of the client libraries. Short waits: what is proven is what is promised, not how patient it is.
 * @param isAgain others of these files run all checks through another client, or over another server
 */
export function conformOn(start: () => Promise<S3Server>, client: 'aws' | 'minio', isAgain = false): void {
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
    // in CI the long checks run once for the engine: through the client that is the default, over a process
    quick: QUICK === 'all' || (QUICK === 'again' && isAgain),
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
      requestTimeoutMs: 3000,
    }),
    module: import.meta.resolve('../../src/index.ts'),
  });
}
