import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { silentLogger } from '@robustmq/core';
import { loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES, type RunningNode, startNode } from '@robustmq/server';
import { expect, test, vi } from 'vitest';
import { type CommandResult, command, inFolder } from '../../server/test/node-fixture.ts';
import { type S3Server, startMinio, startVersitygw } from '../real/s3-server.ts';

const BUCKET = 'archive';
const RECORDS = 60;

const configFor = ({ endpoint, accessKeyId, secretAccessKey, region }: S3Server, client: string): string => `
engines:
  cold:
    use: s3
    bucket: ${BUCKET}
    endpoint: ${endpoint}
    region: ${region}
    accessKeyId: ${accessKeyId}
    secretAccessKey: ${secretAccessKey}
    client: ${client}
topics:
  - { match: "audit", shards: 3, archive: { to: cold, after: 1, keepLocal: 0 }, segment: { ms: 1 } }
storage: { maintenanceIntervalMs: 50, manifestIntervalMs: 50, deleteGraceMs: 100 }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

async function start(cwd: string, data: string): Promise<RunningNode> {
  const plugins = { engines: FIRST_PARTY_ENGINES, brokers: FIRST_PARTY_BROKERS };
  const config = await loadConfig({ file: 'robust.yaml', env: {}, cwd, data, ...plugins });
  return startNode(config, { logger: silentLogger });
}

interface Archived {
  readonly server: S3Server;
  readonly cwd: string;
  archive(...words: string[]): Promise<CommandResult>;
}

/** A bucket with all records of a topic, on a real server; the node that wrote them has stopped. */
function withArchive(
  startServer: () => Promise<S3Server>,
  client: string,
  run: (archived: Archived) => Promise<void>,
): Promise<void> {
  return inFolder(async (cwd) => {
    const server = await startServer();
    try {
      await server.createBucket(BUCKET);
      await writeFile(join(cwd, 'robust.yaml'), configFor(server, client));
      const archive = (...words: string[]) => command(['archive', ...words, '-c', 'robust.yaml'], { cwd });
      const node = await start(cwd, 'data');
      try {
        for (let i = 0; i < RECORDS; i++) await command(['pub', 'audit', `v${i}`, '--key', `k${i}`], { node });
        await vi.waitFor(async () => expect(lines(await archive('cat', 'audit'))).toHaveLength(RECORDS), {
          timeout: 30_000,
          interval: 200,
        });
      } finally {
        await node.stop();
      }
      await run({ server, cwd, archive });
    } finally {
      await server.stop();
    }
  });
}

const lines = ({ out }: CommandResult): string[] => out.trim().split('\n');
const sent = Array.from({ length: RECORDS }, (_, i) => `v${i}`).sort();

test.each([
  ['MinIO', 'aws', startMinio],
  ['MinIO', 'minio', startMinio],
  ['versitygw', 'aws', startVersitygw],
  ['versitygw', 'minio', startVersitygw],
] as const)(
  'on %s, by %s: with nothing left but the bucket every record is read, checked, and restored',
  { timeout: 120_000 },
  (_, client, startServer) =>
    withArchive(startServer, client, async ({ cwd, archive }) => {
      expect(lines(await archive('cat', 'audit')).sort()).toEqual(sent);
      const verified = await archive('verify');
      expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('all are there') });
      expect(verified.out).toContain('Nothing else lies there');
      await rm(join(cwd, 'data'), { recursive: true });
      expect(await archive('restore', '--data', 'new', '--old-cluster-is-gone')).toMatchObject({ code: 0, error: '' });
      const node = await start(cwd, 'new');
      try {
        const read = await command(['sub', 'audit', '--from', 'start', '--no-follow'], { node });
        expect(lines(read).sort()).toEqual(sent);
        await command(['pub', 'audit', 'after', '--key', 'z'], { node });
        await vi.waitFor(async () => expect(lines(await archive('cat', 'audit'))).toContain('after'), {
          timeout: 30_000,
          interval: 200,
        });
      } finally {
        await node.stop();
      }
      expect(await archive('verify')).toMatchObject({ code: 0, out: expect.stringContaining('all are there') });
    }),
);

test(
  'an object that somebody changed or deleted is found, and a restore makes a hole of what is gone',
  { timeout: 120_000 },
  () =>
    withArchive(startMinio, 'aws', async ({ server, archive }) => {
      const { endpoint, region, accessKeyId, secretAccessKey } = server;
      const s3 = new S3Client({
        endpoint,
        region,
        forcePathStyle: true,
        credentials: { accessKeyId, secretAccessKey },
      });
      const listed = JSON.parse((await archive('ls', 'audit', '--json')).out);
      const objects: string[] = [
        ...new Set<string>(
          listed.topics[0].shards.flatMap(({ segments }: { segments: { place: { object: string } }[] }) =>
            segments.map(({ place }) => place.object),
          ),
        ),
      ];
      const cluster = /of cluster ([0-9a-f-]+)/.exec((await archive('ls')).out)?.[1] ?? '';
      const [changed = '', gone = ''] = objects;
      const key = (object: string) => ({ Bucket: BUCKET, Key: `${cluster}/${object}` });
      const { Body } = await s3.send(new GetObjectCommand(key(changed)));
      const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array();
      const middle = Math.floor(bytes.length / 2);
      await s3.send(new PutObjectCommand({ ...key(changed), Body: bytes.with(middle, 0xff ^ (bytes[middle] ?? 0)) }));
      await s3.send(new DeleteObjectCommand(key(gone)));
      s3.destroy();
      const { code, out } = await archive('verify');
      expect(code).toBe(1);
      expect(out).toMatch(/CORRUPT/);
      expect(out).toMatch(/SEGMENT_LOST/);
      const restored = await archive('restore', '--data', 'new', '--old-cluster-is-gone', '--json');
      expect(restored.code).toBe(0);
      const { topics } = JSON.parse(restored.out);
      const segments = topics[0].shards.reduce((sum: number, shard: { segments: number }) => sum + shard.segments, 0);
      expect(segments).toBeLessThan(
        listed.topics[0].shards.reduce((sum: number, shard: { segments: unknown[] }) => sum + shard.segments.length, 0),
      );
    }),
);
