import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  BROKER_API_VERSION,
  type Broker,
  type BrokerContext,
  type EngineContext,
  encodeBatch,
  isDiskFull,
  silentLogger,
} from '@robustmq/core';
import type { Config } from '@robustmq/core/config';
import { VirtualClock } from '@robustmq/core/testing';
import { startNode } from '@robustmq/server';
import { describe, expect, test } from 'vitest';
import { configIn, inFolder, listeningLogger, portOf, urlOf, withNode } from './node-fixture.ts';

/** A config with one more broker, made of these parts. */
function plus(broker: Partial<Broker> & { readonly open?: (ctx: BrokerContext) => Promise<Broker> }) {
  return (config: Config): Config => {
    const running: Broker = { listeners: () => [], drain: async () => {}, close: async () => {}, ...broker };
    const definition = {
      name: 'test',
      apiVersion: BROKER_API_VERSION,
      version: '1',
      configSchema: {},
      open: broker.open ?? (async () => running),
    };
    return {
      ...config,
      brokers: [...config.brokers, { name: 'test', use: 'test', source: 'test', definition, config: {} }],
    };
  };
}

describe('the data directory', () => {
  test('carries its format version, and a node that is stopped lets go of it', () =>
    inFolder(async (folder) => {
      for (let round = 0; round < 2; round++) {
        const node = await startNode(await configIn(folder), { logger: silentLogger });
        await node.stop();
      }
      expect(await readFile(join(folder, 'data/FORMAT'), 'utf8')).toBe('robustmq data 1\n');
    }));

  test.each([
    ['a newer format', 'robustmq data 2\n', 'FORMAT_TOO_NEW'],
    ['a damaged format', 'robustmq da', 'CORRUPT'],
    ['an empty format', '', 'CORRUPT'],
    ['a format that is garbage', '\0\0\xff', 'CORRUPT'],
  ])('%s is refused and stays as it is', (_, text, code) =>
    inFolder(async (folder) => {
      await mkdir(join(folder, 'data'));
      await writeFile(join(folder, 'data/FORMAT'), text);
      await expect(startNode(await configIn(folder), { logger: silentLogger })).rejects.toMatchObject({ code });
      expect(await readFile(join(folder, 'data/FORMAT'), 'utf8')).toBe(text);
    }),
  );

  test("somebody else's files are not mixed with ours", () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, 'data'));
      await writeFile(join(folder, 'data/thesis.doc'), 'years of work');
      await expect(startNode(await configIn(folder), { logger: silentLogger })).rejects.toMatchObject({
        code: 'DATA_FOREIGN',
        message: expect.stringContaining('thesis.doc'),
      });
    }));

  test('a disk without room is called that, however deep the cause', () => {
    const levelDb = new Error('IO error: LOCK.level/000003.log: No space left on device');
    expect(isDiskFull(new Error('not open', { cause: levelDb }))).toBe(true);
    expect(isDiskFull(Object.assign(new Error('mkdir'), { code: 'ENOSPC' }))).toBe(true);
    expect(isDiskFull(new Error('not open'))).toBe(false);
  });

  test('a path that can not be a directory says so', () =>
    inFolder(async (folder) => {
      await writeFile(join(folder, 'data'), '');
      await expect(startNode(await configIn(folder), { logger: silentLogger })).rejects.toMatchObject({
        code: 'DATA_UNUSABLE',
      });
    }));

  test('is for one node at a time', () =>
    withNode({}, async (_, folder) => {
      await expect(startNode(await configIn(folder), { logger: silentLogger })).rejects.toMatchObject({
        code: 'DIRECTORY_LOCKED',
        message: expect.stringContaining(folder),
      });
    }));
});

test.each(['admin', 'brokers.mqtt', 'brokers.kafka'])(
  'a port of %s in use names the setting and leaves nothing behind',
  (setting) =>
    inFolder(async (folder) => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const address = other.address();
      const port = typeof address === 'object' ? address?.port : 0;
      try {
        const config = await configIn(folder, [`${setting}.port=${port}`]);
        await expect(startNode(config, { logger: silentLogger })).rejects.toMatchObject({
          code: 'PORT_IN_USE',
          message: expect.stringContaining(`${setting}.port: 127.0.0.1:${port}`),
        });
      } finally {
        other.close();
      }
      const node = await startNode(await configIn(folder), { logger: silentLogger });
      await node.stop();
    }),
);

test('brokers drain before they close, readiness fails first, and the storage closes last', async () => {
  const steps: string[] = [];
  await withNode(
    {
      change: plus({
        open: async ({ storage }) => ({
          listeners: () => [],
          drain: async () => {
            steps.push('drain');
          },
          close: async () => {
            await storage.createTopic('still-there');
            steps.push('close');
          },
        }),
      }),
    },
    async (node) => {
      const stopping = node.stop();
      expect(node.status()).toMatchObject({ ready: false, phase: 'draining', problems: [{ code: 'NODE_DRAINING' }] });
      await stopping;
    },
  );
  expect(steps).toEqual(['drain', 'close']);
});

test('a broker that never finishes draining does not keep the node from stopping', async () => {
  const logger = listeningLogger();
  await withNode(
    { sets: ['node.drainTimeoutMs=20'], world: { logger }, change: plus({ drain: () => new Promise(() => {}) }) },
    (node) => node.stop(),
  );
  expect(logger.lines).toContain('draining took longer than 20 ms, going on without');
});

test('a broker that does not open closes everything that was opened before it', () =>
  inFolder(async (folder) => {
    const config = await configIn(folder);
    const broken = plus({ open: () => Promise.reject(new Error('no luck')) })(config);
    await expect(startNode(broken, { logger: silentLogger })).rejects.toThrow('no luck');
    const node = await startNode(config, { logger: silentLogger });
    await node.stop();
  }));

test('what nobody caught makes the node unready for good', () =>
  withNode({}, async (node) => {
    node.fail('a test said so');
    const answer = await fetch(`${urlOf(node)}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.text()).toBe('not ready\nNODE_FAILED process: a test said so\n');
  }));

test('a plug-in that never opens is named by readyz and in the log, and does not keep the node from being stopped', () =>
  inFolder(async (folder) => {
    const stop = new AbortController();
    const port = await freePort();
    const logger = listeningLogger();
    const clock = new VirtualClock();
    let answer = '';
    const open = async (): Promise<never> => {
      answer = await (await fetch(`http://127.0.0.1:${port}/readyz`)).text();
      await clock.advance(10_000);
      stop.abort();
      await clock.advance(1000);
      return new Promise(() => {});
    };
    const config = plus({ open })(await configIn(folder, [`admin.port=${port}`]));
    await expect(startNode(config, { logger, clock, signal: stop.signal })).rejects.toMatchObject({
      code: 'START_INTERRUPTED',
      message: expect.stringContaining('while broker test was being opened'),
    });
    expect(answer).toMatch(/NODE_STARTING node: the node is starting: opening broker test\n/);
    expect(logger.lines).toContain('opening broker test has taken more than 10 s');
    const node = await startNode(await configIn(folder), { logger: silentLogger });
    await node.stop();
  }));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

test('the cluster has one id for good', () =>
  inFolder(async (folder) => {
    const ids: string[] = [];
    for (let round = 0; round < 2; round++) {
      const node = await startNode(await configIn(folder), { logger: silentLogger });
      ids.push(node.clusterId);
      await node.stop();
    }
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids[1]).toBe(ids[0]);
  }));

test('port 0 takes a free port and tells which', () =>
  withNode({}, async (node) => {
    for (const protocol of ['mqtt', 'kafka', 'admin']) expect(portOf(node, protocol)).toBeGreaterThan(0);
  }));

test('what an engine reports for a segment shows as use of its topic', async () => {
  const contexts: EngineContext[] = [];
  const change = (config: Config): Config => ({
    ...config,
    engines: config.engines.map((engine) => {
      const open = (ctx: EngineContext) => {
        contexts.push(ctx);
        return engine.definition.open(ctx);
      };
      return { ...engine, definition: { ...engine.definition, open } };
    }),
  });
  await withNode({ change }, async (node) => {
    const topic = await node.storage.createTopic('orders');
    const shard = node.storage.shard(topic, 0);
    await shard.append([encodeBatch([{ timestamp: 1, key: null, value: Buffer.from('one') }])]);
    const [segment = { id: '' }] = await shard.segments();
    for (const { usage } of contexts)
      usage({ segment: segment.id, puts: 0.5, gets: 0, lists: 0, bytesOut: 10, bytesIn: 0, cost: 0.25 });
    const text = await (await fetch(`${urlOf(node)}/metrics`)).text();
    const used = contexts.map(
      ({ instance }) => `robust_topic_store_cost_total{topic="orders",instance="${instance}"} 0.25`,
    );
    expect(text.split('\n')).toEqual(expect.arrayContaining(used));
  });
});
