import { execFile } from 'node:child_process';
import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { expect, test } from 'vitest';
import { Clients, eventually } from '../clients.ts';
import { ServerProcess } from '../crash/server-process.ts';

const run = promisify(execFile);
const DISK_BYTES = 256 * 1024 * 1024;

/** A file system of its own, small, and gone afterwards. */
async function onSmallDisk(use: (mount: string) => Promise<void>): Promise<void> {
  const mount = await mkdtemp(join(tmpdir(), 'robust-full-'));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', mount]);
  try {
    await use(mount);
  } finally {
    await run('umount', ['-l', mount]);
    await rm(mount, { recursive: true });
  }
}

interface Ready {
  readonly status: number;
  readonly body: string;
}

async function readyz(clients: Clients): Promise<Ready> {
  const answer = await fetch(`${clients.admin}/readyz`);
  return { status: answer.status, body: await answer.text() };
}

test('a full disk is refused before anything is written, /readyz says so, and the node heals when there is room again', () =>
  onSmallDisk(async (mount) => {
    const server = new ServerProcess({ data: join(mount, 'data') });
    try {
      await server.ready();
      const clients = new Clients(server.ports);
      const kafka = new Kafka({
        brokers: [`127.0.0.1:${server.ports.kafka}`],
        logLevel: logLevel.NOTHING,
        retry: { retries: 0 },
      });
      const producer = kafka.producer();
      await producer.connect();
      let acknowledged = 0;
      const send = async (): Promise<void> => {
        const value = `${acknowledged}:${'x'.repeat(500_000)}`;
        await producer.send({ topic: 'full', acks: -1, messages: [{ value }] });
        acknowledged++;
      };
      for (let i = 0; i < 3; i++) await send();

      // somebody else fills the disk
      await writeFile(join(mount, 'ballast'), Buffer.alloc(DISK_BYTES)).catch(() => {});
      const failure = await eventually(
        () =>
          send().then(
            () => undefined,
            (error: unknown) => String(error),
          ),
        (error) => error !== undefined,
      );
      expect(failure).toMatch(/storage|disk|KAFKA_STORAGE_ERROR/i);
      const full = await eventually(
        () => readyz(clients),
        ({ status }) => status === 503,
      );
      expect(full.body).toMatch(/DISK_FULL/);
      const published = await clients.robust('pub', 'full', 'x').catch((error: { stderr: string }) => error.stderr);
      expect(published).toMatch(/DISK_FULL/);
      // what was acknowledged is still read while the disk is full
      const keysOf = async (): Promise<string[]> =>
        (await clients.kcatAll('full', '%o %s\n')).map((line) => line.split(':')[0] ?? '');
      const expected = (): string[] => Array.from({ length: acknowledged }, (_, i) => `${i} ${i}`);
      expect(await keysOf()).toEqual(expected());

      await unlink(join(mount, 'ballast'));
      await eventually(
        () => readyz(clients),
        ({ status }) => status === 200,
      );
      await eventually(
        () =>
          send().then(
            () => true,
            () => false,
          ),
        (sent) => sent,
      );
      expect((await keysOf()).at(-1)).toMatch(new RegExp(` ${acknowledged - 1}$`));
      await producer.disconnect();
      expect(await server.stop()).toBe(0);
    } finally {
      await server.kill();
    }
  }));

test('a node that starts on a full disk says what is wrong, and starts when there is room', () =>
  onSmallDisk(async (mount) => {
    const first = new ServerProcess({ data: join(mount, 'data') });
    await first.ready();
    await new Clients(first.ports).robust('pub', 'kept', 'record');
    await first.kill();
    await writeFile(join(mount, 'ballast'), Buffer.alloc(DISK_BYTES)).catch(() => {});
    const second = new ServerProcess({ data: join(mount, 'data') });
    const started = await second.ready().then(
      () => true,
      () => false,
    );
    // either is fine: it refuses with a clear message, or it serves reads and says DISK_FULL
    if (started)
      expect(
        (
          await eventually(
            () => readyz(new Clients(second.ports)),
            ({ status }) => status === 503,
          )
        ).body,
      ).toMatch(/DISK_FULL/);
    else expect(second.log).toMatch(/DISK_FULL|DATA_UNUSABLE|no space|META_UNAVAILABLE/i);
    await second.kill();
    await unlink(join(mount, 'ballast'));
    const third = new ServerProcess({ data: join(mount, 'data') });
    try {
      await third.ready();
      expect(await new Clients(third.ports).robust('sub', 'kept', '--from', 'start', '--no-follow')).toBe('record\n');
    } finally {
      await third.kill();
    }
  }));
