import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { encodeBatch, type Logger, type Shard, silentLogger } from '@robustmq/core';
import { loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES, type RunningNode, startNode } from '@robustmq/server';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { inFolder } from '../../server/test/node-fixture.ts';
import { type S3Server, startMinio } from '../real/s3-server.ts';

const BUCKET = 'inputs';

interface Store {
  readonly endpoint: string;
  readonly bucket?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly region?: string;
}

let server: S3Server;
beforeAll(async () => {
  server = await startMinio();
  await server.createBucket(BUCKET);
});
afterAll(async () => await server.stop());

const configFor = ({
  endpoint,
  bucket = BUCKET,
  accessKeyId,
  secretAccessKey,
  region = 'us-east-1',
}: Store): string => `
engines:
  lake:
    use: s3
    bucket: ${bucket}
    endpoint: ${endpoint}
    region: ${region}
    accessKeyId: ${accessKeyId ?? server.accessKeyId}
    secretAccessKey: ${secretAccessKey ?? server.secretAccessKey}
    flushIntervalMs: 20
    requestTimeoutMs: 500ms
    patienceMs: 600ms
topics:
  - { match: "lake", engine: lake }
node: { drainTimeoutMs: 1s }
storage: { maintenanceIntervalMs: 100, recoverTimeoutMs: 2s }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

async function start(cwd: string, logger: Logger = silentLogger): Promise<RunningNode> {
  const plugins = { engines: FIRST_PARTY_ENGINES, brokers: FIRST_PARTY_BROKERS };
  const config = await loadConfig({ file: 'robust.yaml', env: {}, cwd, data: 'data', ...plugins });
  return startNode(config, { logger });
}

async function readyz(node: RunningNode): Promise<string> {
  const port = node.listeners().find(({ protocol }) => protocol === 'admin')?.port;
  return (await fetch(`http://127.0.0.1:${port}/readyz`)).text();
}

async function shardOf({ storage }: RunningNode, name: string): Promise<Shard> {
  return storage.shard(await storage.ensureTopic(name), 0);
}

const batch = (text: string) => encodeBatch([{ timestamp: 1, key: null, value: Buffer.from(text) }]);

/** A server that answers everything alike. */
async function answering(status: number, body: string, run: (endpoint: string) => Promise<void>): Promise<void> {
  const http = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(status, { 'content-type': 'application/xml' }).end(body));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  try {
    await run(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  } finally {
    http.closeAllConnections();
    http.close();
  }
}

const problem = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;

describe('A node whose store can not be used', () => {
  /** It starts, says what is wrong and what to do, and serves what lies elsewhere. */
  async function startsWithout(store: Store, code: RegExp, hint: RegExp): Promise<void> {
    await inFolder(async (cwd) => {
      await writeFile(join(cwd, 'robust.yaml'), configFor(store));
      const logged: string[] = [];
      const note = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
      const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger };
      const node = await start(cwd, logger);
      try {
        await vi.waitFor(async () => expect(await readyz(node)).toMatch(code), { timeout: 15_000 });
        expect(await readyz(node)).toMatch(hint);
        expect(logged.join('\n')).toMatch(code);
        const elsewhere = await shardOf(node, 'elsewhere');
        expect(await elsewhere.append([batch('a')])).toMatchObject({ base: 0 });
        const lake = await shardOf(node, 'lake');
        await expect(lake.append([batch('b')])).rejects.toMatchObject({ name: 'StorageError' });
      } finally {
        await node.stop();
      }
    });
  }

  test(
    'because nothing listens there',
    () => startsWithout({ endpoint: 'http://127.0.0.1:9' }, /STORE_UNAVAILABLE/, /setting endpoint/),
    60_000,
  );

  test(
    'because its name does not resolve',
    () => startsWithout({ endpoint: 'http://no-such-host.invalid' }, /STORE_UNAVAILABLE/, /setting endpoint/),
    60_000,
  );

  test(
    'because it does not know the credentials',
    () =>
      startsWithout({ endpoint: server.endpoint, secretAccessKey: 'wrong-secret' }, /STORE_DENIED/, /secretAccessKey/),
    60_000,
  );

  test.each([
    ['a clock that is wrong', 403, 'RequestTimeTooSkewed', /STORE_DENIED/, /synchronise/],
    ['credentials that have expired', 400, 'ExpiredToken', /STORE_DENIED/, /Renew the credentials/],
    ['a right that is missing', 403, 'AccessDenied', /STORE_DENIED/, /s3:GetObject/],
    ['too many requests', 503, 'SlowDown', /STORE_UNAVAILABLE/, /flushIntervalMs/],
  ] as const)(
    'because of %s',
    (_, status, code, said, hint) =>
      answering(status, problem(code), (endpoint) => startsWithout({ endpoint }, said, hint)),
    60_000,
  );
});

describe('A node whose settings can not be meant', () => {
  async function refusesToStart(store: Store, code: string, hint: RegExp): Promise<void> {
    await inFolder(async (cwd) => {
      await writeFile(join(cwd, 'robust.yaml'), configFor(store));
      const failure = await start(cwd).then(
        async (node) => {
          await node.stop();
          return undefined;
        },
        (error: unknown) => error,
      );
      expect(failure).toMatchObject({ code, hint: expect.stringMatching(hint) });
    });
  }

  test(
    'does not start with a bucket that does not exist',
    () =>
      refusesToStart(
        { endpoint: server.endpoint, bucket: 'no-such-bucket' },
        'STORE_MISCONFIGURED',
        /Create the bucket/,
      ),
    60_000,
  );

  test(
    'does not start with a bucket in another region',
    () =>
      answering(301, problem('PermanentRedirect'), (endpoint) =>
        refusesToStart({ endpoint }, 'STORE_MISCONFIGURED', /setting region/),
      ),
    60_000,
  );

  test(
    'does not start when what answers is no store',
    () =>
      answering(200, '<html>hello</html>', (endpoint) =>
        refusesToStart({ endpoint }, 'STORE_MISCONFIGURED', /setting endpoint/),
      ),
    60_000,
  );

  test('does not start when the bucket is another one, or was emptied', async () => {
    await inFolder(async (cwd) => {
      await writeFile(join(cwd, 'robust.yaml'), configFor(server));
      const node = await start(cwd);
      await (await shardOf(node, 'lake')).append([batch('a')]);
      await node.stop();
      await server.createBucket('empty');
      await writeFile(join(cwd, 'robust.yaml'), configFor({ ...server, bucket: 'empty' }));
      await expect(start(cwd)).rejects.toMatchObject({ code: 'INSTANCE_CHANGED' });
    });
  }, 60_000);
});

describe('An object that somebody else has changed', () => {
  test.each([
    ['deleted', 'SEGMENT_LOST', undefined],
    ['cut short', 'CORRUPT', (bytes: Buffer) => bytes.subarray(0, bytes.length - 10)],
    ['changed in one bit', 'CORRUPT', (bytes: Buffer) => flipped(bytes)],
  ] as const)(
    '%s is told as %s, and nothing else is touched by it',
    async (_, code, change) => {
      await inFolder(async (cwd) => {
        await writeFile(join(cwd, 'robust.yaml'), configFor(server));
        const client = new S3Client({
          endpoint: server.endpoint,
          region: 'us-east-1',
          forcePathStyle: true,
          credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
        });
        try {
          const before = await keysOf(client);
          // a segment each: a stop seals
          for (const text of ['first', 'second']) {
            const node = await start(cwd);
            await (await shardOf(node, 'lake')).append([batch(text)]);
            await node.stop();
          }
          const object = (await keysOf(client)).find((key) => !before.includes(key) && /\/seg\/.*\/0+-0+1-/.test(key));
          if (object === undefined) throw new Error('nothing was put');
          const target = { Bucket: BUCKET, Key: object };
          if (change === undefined) await client.send(new DeleteObjectCommand(target));
          else {
            const found = await client.send(new GetObjectCommand(target));
            const bytes = Buffer.from((await found.Body?.transformToByteArray()) ?? []);
            await client.send(new PutObjectCommand({ ...target, Body: change(bytes) }));
          }
          const again = await start(cwd);
          try {
            const lake = await shardOf(again, 'lake');
            await expect(lake.read(0, { maxBytes: 1000 })).rejects.toMatchObject({ code });
            expect((await lake.read(1, { maxBytes: 1000 })).next).toBe(2);
            expect(await lake.append([batch('third')])).toMatchObject({ base: 2 });
            expect(await readyz(again)).toMatch(code);
          } finally {
            await again.stop();
          }
        } finally {
          client.destroy();
        }
      });
    },
    60_000,
  );
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(100) ^ 4, 100);
  return copy;
}

async function keysOf(client: S3Client): Promise<string[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET }));
  return Contents.map(({ Key = '' }) => Key);
}
