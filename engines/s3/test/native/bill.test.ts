import {
  type Counter,
  type Metrics,
  type SegmentUsage,
  silentLogger,
  systemClock,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type S3Proxy, s3Proxy } from '../../../../test/real/s3-proxy.ts';
import type { S3Kind } from '../../../../test/real/s3-request.ts';
import { type S3Server, startMinio } from '../../../../test/real/s3-server.ts';
import { batch } from '../../../objects/test/batches.ts';
import engineS3 from '../../src/index.ts';
import { settingsOf } from '../support/settings.ts';

const BATCHES = 60;
/** An image of more than one part. */
const PAYLOAD_BYTES = 200 * 1024;

/** What the engine says that it has sent, by kind. */
class CountedRequests {
  readonly #counters: { readonly kind: string; readonly counter: Counter }[] = [];
  readonly metrics: Metrics = {
    ...unreadMetrics,
    counter: (name, _help, labels) => {
      const counter = { value: 0 };
      if (name === 'robust_objects_requests_total') this.#counters.push({ kind: labels?.kind ?? '', counter });
      return counter;
    },
  };

  of(kind: string): number {
    return this.#counters.filter((one) => one.kind === kind).reduce((sum, { counter }) => sum + counter.value, 0);
  }
}

describe.each(['aws', 'minio'] as const)('The bill of real requests to MinIO, through the client %s', (client) => {
  let server: S3Server;
  let proxy: S3Proxy;

  beforeEach(async () => {
    server = await startMinio();
    await server.createBucket('bucket');
    proxy = await s3Proxy(server);
  });
  afterEach(async () => {
    await proxy?.close();
    await server?.stop();
  });

  const seen = (...kinds: S3Kind[]): number => kinds.reduce((sum, kind) => sum + (proxy.count()[kind] ?? 0), 0);

  test('counts what a proxy counts, also what had to be sent twice', async () => {
    const counted = new CountedRequests();
    const usage = { puts: 0, gets: 0, lists: 0 };
    const { region, accessKeyId, secretAccessKey } = server;
    const { endpoint } = proxy;
    const engine = await engineS3.open({
      instance: 'bill',
      node: 1,
      dir: '/nowhere',
      config: settingsOf({ endpoint, client, region, accessKeyId, secretAccessKey, partBytes: 5 * 1024 * 1024 }),
      // it has no files
      fs: undefined as never,
      lock: () => Promise.reject(new Error('it locks nothing')),
      clock: systemClock,
      random: new SeededRandom(1),
      logger: silentLogger,
      metrics: counted.metrics,
      meta: new MemoryMeta(),
      health: () => {},
      usage: ({ puts, gets, lists }: SegmentUsage) => {
        usage.puts += puts;
        usage.gets += gets;
        usage.lists += lists;
      },
      signal: new AbortController().signal,
    });
    try {
      const writer = await engine.create('s-1', { base: 0, epoch: 1, config: {}, state: new Uint8Array(8) });
      const lost = proxy.rule({ kind: 'PUT', nth: 40, fault: { how: 'lose-reply' } });
      for (let base = 0; base < BATCHES; base++)
        await writer.append([batch({ base, payloadBytes: PAYLOAD_BYTES })], { base });
      expect(lost()).toBe(1);
      await writer.seal();
      for (let turn = 0; turn < 5; turn++)
        await engine.maintain?.({ requestBudget: 200, signal: new AbortController().signal });
      const reader = await engine.openReader('s-1');
      for (let from = 0; from < BATCHES; ) from = (await reader.read(from, { maxBytes: 1024 * 1024 })).next;
    } finally {
      await engine.close();
    }
    // its write-ahead objects, and the parts of the image
    expect(seen('PUT')).toBeGreaterThan(BATCHES);
    expect(seen('PART')).toBeGreaterThan(1);
    expect(seen('GET')).toBeGreaterThan(0);
    expect(counted.of('PUT')).toBe(seen('PUT', 'PART'));
    expect(counted.of('POST')).toBe(seen('MULTIPART-BEGIN', 'MULTIPART-END'));
    expect(counted.of('GET')).toBe(seen('GET'));
    expect(counted.of('HEAD')).toBe(seen('HEAD'));
    expect(counted.of('LIST')).toBe(seen('LIST'));
    expect(usage.puts).toBeCloseTo(seen('PUT', 'PART', 'MULTIPART-BEGIN', 'MULTIPART-END'), 3);
    expect(usage.gets).toBeCloseTo(seen('GET', 'HEAD'), 3);
    expect(usage.lists).toBe(seen('LIST'));
    // none that is not known
    expect(seen('BUCKET', 'DELETE-MANY')).toBe(0);
  });
});
