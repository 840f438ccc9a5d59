import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { flakyProxy } from '@robustmq/conformance';
import { describe, expect, test, vi } from 'vitest';
import { type NativeS3Server, startMinio, startVersitygw } from '../real/s3-server.ts';
import { type Stage, underStress } from './stress.ts';

const run = promisify(execFile);
const BUCKET = 'chaos';
const DISK_BYTES = 64 * 1024 * 1024;

/** On a server that the test has to itself, or through something in front of it. */
async function onServer(
  startServer: () => Promise<NativeS3Server>,
  disturb: (stage: Stage & { readonly server: NativeS3Server }) => Promise<void>,
  through?: (server: NativeS3Server) => Promise<{ readonly endpoint: string; close(): Promise<void> }>,
): Promise<void> {
  const server = await startServer();
  const way = await through?.(server);
  try {
    await server.createBucket(BUCKET);
    const { accessKeyId, secretAccessKey } = server;
    const lake = {
      use: 's3',
      bucket: BUCKET,
      endpoint: way?.endpoint ?? server.endpoint,
      accessKeyId,
      secretAccessKey,
      flushIntervalMs: 20,
      requestTimeoutMs: '1s',
      patienceMs: '2s',
    };
    await underStress(lake, (stage) => disturb({ ...stage, server }));
  } finally {
    await way?.close();
    await server.stop();
  }
}

describe('A store in trouble', () => {
  test('that is killed in the middle of uploads and comes back: appends go on by themselves', async () => {
    await onServer(startMinio, async ({ server, says, problems, ready }) => {
      await server.kill();
      await says(/STORE_UNAVAILABLE/);
      expect(await ready()).toBe(false);
      expect(await problems()).toMatch(/Check the setting endpoint/);
      await server.start();
    });
  }, 180_000);

  test('that stands still for longer than a request may take', async () => {
    await onServer(startMinio, async ({ server, says }) => {
      await server.pause();
      await says(/STORE_UNAVAILABLE/);
      await server.resume();
    });
  }, 180_000);

  test('whose replies are lost, each third one', async () => {
    let lose = (): void => {};
    await onServer(
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
        await onServer(
          () => startVersitygw({ dir }),
          async ({ says }) => {
            const ballast = join(mount, 'ballast');
            await writeFile(ballast, Buffer.alloc(DISK_BYTES)).catch(() => {}); // as much as there is room for
            await says(/DISK_FULL|STORE_UNAVAILABLE/);
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
    await onServer(startVersitygw, async ({ server, says }) => {
      await server.kill();
      await server.start({ secretAccessKey: 'another-secret' });
      await says(/STORE_DENIED.*secretAccessKey/s);
      await server.kill();
      await server.start();
    });
  }, 180_000);
});
