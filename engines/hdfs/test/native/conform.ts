import { serviceConformance } from '@robustmq/conformance';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { HdfsServer } from '../../../../test/real/hdfs-server.ts';
import engine from '../../src/index.ts';

const START_MS = 120_000;

/** All checks against a real HDFS. Short waits: what is proven is what is promised, not how patient it is. */
export function conformOn(start: () => Promise<HdfsServer>): void {
  let server: HdfsServer | undefined;
  // not within the time that a check may take
  beforeAll(async () => {
    server = await start();
  }, START_MS);
  afterAll(async () => await server?.stop());
  serviceConformance({
    describe,
    it,
    engine,
    // in CI what ran at length over a process is not run at length over a container again
    quick: process.env.ROBUST_CONFORMANCE_QUICK === 'all',
    service: async () => {
      if (server === undefined) throw new Error('HDFS has not started');
      const { hostname, port } = new URL(server.nameNode.httpAddress);
      return { host: hostname, port: Number(port) };
    },
    settings: ({ host, port, world }) => ({
      nameNodes: [`http://${host}:${port}`],
      path: `/conformance/${world}`,
      user: 'root',
      flushIntervalMs: 5,
      idleFlushMs: 1,
      nameNodeTimeoutMs: 3000,
      requestTimeoutMs: 3000,
    }),
    module: import.meta.resolve('../../src/index.ts'),
  });
}
