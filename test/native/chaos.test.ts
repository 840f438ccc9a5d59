import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { flakyProxy } from '@robustmq/conformance';
import { encodeBatch, isStorageError, type Shard, silentLogger } from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES, type RunningNode, startNode } from '@robustmq/server';
import { describe, expect, test, vi } from 'vitest';
import { inFolder } from '../../server/test/node-fixture.ts';
import { type NativeS3Server, startMinio, startVersitygw } from '../real/s3-server.ts';

const run = promisify(execFile);
const BUCKET = 'chaos';
const DISK_BYTES = 64 * 1024 * 1024;
const IN_FLIGHT = 20;

const configFor = (endpoint: string, { accessKeyId, secretAccessKey }: NativeS3Server): string => `
engines:
  lake:
    use: s3
    bucket: ${BUCKET}
    endpoint: ${endpoint}
    accessKeyId: ${accessKeyId}
    secretAccessKey: ${secretAccessKey}
    flushIntervalMs: 20
    requestTimeoutMs: 1s
    patienceMs: 2s
topics:
  - { match: "live", engine: lake }
  - { match: "old", archive: { to: lake, after: 200, keepLocal: 0 }, segment: { bytes: 64KiB, ms: 100 } }
storage: { maintenanceIntervalMs: 100, manifestIntervalMs: 500, deleteGraceMs: 100, recoverTimeoutMs: 3s }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

async function start(cwd: string): Promise<RunningNode> {
  const plugins = { engines: FIRST_PARTY_ENGINES, brokers: FIRST_PARTY_BROKERS };
  const config = await loadConfig({ file: 'robust.yaml', env: {}, cwd, data: 'data', ...plugins });
  return startNode(config, { logger: silentLogger });
}

/** Appends numbers, some at once, and remembers which were acknowledged. */
class Producer {
  readonly acknowledged = new Map<number, string>();
  readonly sent = new Set<string>();
  readonly #shard: Shard;
  readonly #name: string;
  #next = 0;
  #isDone = false;
  readonly #running: Promise<void>[];

  constructor(shard: Shard, name: string) {
    this.#shard = shard;
    this.#name = name;
    this.#running = Array.from({ length: IN_FLIGHT }, () => this.#run());
  }

  async finish(): Promise<void> {
    this.#isDone = true;
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    while (!this.#isDone) {
      const value = `${this.#name}-${this.#next++}`;
      this.sent.add(value);
      try {
        await this.#shard.ready(1000);
        const { base } = await this.#shard.append([
          encodeBatch([{ timestamp: 1, key: null, value: Buffer.from(value) }]),
        ]);
        expect(this.acknowledged.has(base)).toBe(false);
        this.acknowledged.set(base, value);
      } catch (error) {
        if (!isStorageError(error)) throw error;
        // none of these is ever sent again: what was not acknowledged may be there once
        await sleep(20);
      }
      await sleep(1);
    }
  }

  /** Everything acknowledged is there, where it was said to be, and nothing is there twice or from nowhere. */
  async check(): Promise<void> {
    const { logStart, committed } = await this.#shard.offsets();
    const found = new Map<number, string>();
    for (let from = logStart; from < committed; ) {
      const { chunks, next } = await this.#shard.read(from, { maxBytes: 1024 * 1024 });
      for (const chunk of chunks)
        forEachBatch(chunk, (header, at) => {
          for (const { offset, value } of decodeRecords(chunk.subarray(at, at + header.bytes)))
            found.set(offset, Buffer.from(value ?? '').toString());
        });
      expect(next).toBeGreaterThan(from);
      from = next;
    }
    expect([...found.keys()]).toEqual(Array.from({ length: committed - logStart }, (_, i) => logStart + i));
    expect(new Set(found.values()).size).toBe(found.size);
    for (const value of found.values()) expect(this.sent.has(value), value).toBe(true);
    for (const [offset, value] of this.acknowledged) expect(found.get(offset)).toBe(value);
  }
}

interface Stage {
  readonly server: NativeS3Server;
  readonly live: Producer;
  problems(): Promise<string>;
  ready(): Promise<boolean>;
}

/** A node that writes to a store and archives to it, while `disturb` is at work; afterwards all is well again by itself. */
async function underStress(
  startServer: () => Promise<NativeS3Server>,
  disturb: (stage: Stage) => Promise<void>,
  through?: (server: NativeS3Server) => Promise<{ readonly endpoint: string; close(): Promise<void> }>,
): Promise<void> {
  await inFolder(async (cwd) => {
    const server = await startServer();
    const way = await through?.(server);
    let node: RunningNode | undefined;
    try {
      await server.createBucket(BUCKET);
      await writeFile(join(cwd, 'robust.yaml'), configFor(way?.endpoint ?? server.endpoint, server));
      node = await start(cwd);
      const { storage } = node;
      const shardOf = async (name: string): Promise<Shard> => storage.shard(await storage.ensureTopic(name), 0);
      const [live, old] = [new Producer(await shardOf('live'), 'live'), new Producer(await shardOf('old'), 'old')];
      const admin = node.listeners().find(({ protocol }) => protocol === 'admin')?.port;
      const readyz = () => fetch(`http://127.0.0.1:${admin}/readyz`);
      await vi.waitFor(() => expect(live.acknowledged.size).toBeGreaterThan(20), { timeout: 10_000 });
      await disturb({
        server,
        live,
        problems: async () => (await readyz()).text(),
        ready: async () => (await readyz()).ok,
      });
      const before = live.acknowledged.size;
      await vi.waitFor(() => expect(live.acknowledged.size).toBeGreaterThan(before + 50), {
        timeout: 30_000,
        interval: 50,
      });
      await Promise.all([live.finish(), old.finish()]);
      await vi.waitFor(async () => expect((await readyz()).ok).toBe(true), { timeout: 70_000, interval: 200 });
      // a failed move rests for ten seconds before it is tried again
      await vi.waitFor(
        async () => {
          const segments = await (await shardOf('old')).segments();
          expect(segments.every(({ instance, state }) => instance === 'lake' && state === 'SEALED')).toBe(true);
        },
        { timeout: 60_000, interval: 200 },
      );
      await live.check();
      await old.check();
      expect(old.acknowledged.size).toBeGreaterThan(0);
    } finally {
      await node?.stop();
      await way?.close();
      await server.stop();
    }
  });
}

describe('A store in trouble', () => {
  test('that is killed in the middle of uploads and comes back: appends go on by themselves', async () => {
    await underStress(startMinio, async ({ server, problems, ready }) => {
      await server.kill();
      await vi.waitFor(async () => expect(await problems()).toMatch(/STORE_UNAVAILABLE/), {
        timeout: 20_000,
        interval: 100,
      });
      expect(await ready()).toBe(false);
      expect(await problems()).toMatch(/Check the setting endpoint/);
      await server.start();
    });
  }, 180_000);

  test('that stands still for longer than a request may take', async () => {
    await underStress(startMinio, async ({ server, problems }) => {
      await server.pause();
      await vi.waitFor(async () => expect(await problems()).toMatch(/STORE_UNAVAILABLE/), {
        timeout: 20_000,
        interval: 100,
      });
      await server.resume();
    });
  }, 180_000);

  test('whose replies are lost, each third one', async () => {
    let lose = (): void => {};
    await underStress(
      startMinio,
      async ({ live }) => {
        const before = live.acknowledged.size;
        lose();
        await vi.waitFor(() => expect(live.acknowledged.size).toBeGreaterThan(before + 100), { timeout: 60_000 });
      },
      async ({ port }) => {
        const proxy = await flakyProxy({ port });
        lose = () => void proxy.fail(1, { how: 'drop-reply', every: 3 });
        return { endpoint: `http://${proxy.host}:${proxy.port}`, close: () => proxy.close() };
      },
    );
  }, 180_000);

  test.skipIf(process.getuid?.() !== 0)(
    'whose disk is full until somebody makes room (needs root, to mount a small file system)',
    async () => {
      const mount = await mkdtemp(join(tmpdir(), 'robust-full-store-'));
      await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', mount]);
      try {
        const dir = join(mount, 'store');
        await mkdir(dir);
        await underStress(
          () => startVersitygw({ dir }),
          async ({ problems }) => {
            const ballast = join(mount, 'ballast');
            await writeFile(ballast, Buffer.alloc(DISK_BYTES)).catch(() => {}); // as much as there is room for
            await vi.waitFor(async () => expect(await problems()).toMatch(/DISK_FULL|STORE_UNAVAILABLE/), {
              timeout: 30_000,
              interval: 100,
            });
            await rm(ballast);
          },
        );
      } finally {
        await run('umount', ['-l', mount]);
        await rm(mount, { recursive: true });
      }
    },
    180_000,
  );

  test('that refuses our credentials for a while', async () => {
    await underStress(startVersitygw, async ({ server, problems }) => {
      await server.kill();
      await server.start({ secretAccessKey: 'another-secret' });
      await vi.waitFor(async () => expect(await problems()).toMatch(/STORE_DENIED/), {
        timeout: 40_000,
        interval: 100,
      });
      expect(await problems()).toMatch(/secretAccessKey/);
      await server.kill();
      await server.start();
    });
  }, 180_000);
});
