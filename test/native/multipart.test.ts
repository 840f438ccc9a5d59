import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, test, vi } from 'vitest';
import { archiveAmounts, strayFiles, strayUploads } from '../../bench/archive-leaks.ts';
import { command, inFolder } from '../../server/test/node-fixture.ts';
import { ServerProcess } from '../crash/server-process.ts';
import { type S3Moment, type S3Proxy, s3Proxy } from '../real/s3-proxy.ts';
import type { S3Kind, S3Request } from '../real/s3-request.ts';
import { type NativeS3Server, startMinio } from '../real/s3-server.ts';
import { LargeRecords } from './large-records.ts';
import type { EngineSettings } from './stress.ts';

const MiB = 1024 * 1024;
/** Of the first segment. In parts: 16, 16 and 8 MiB, which are on their way at once. */
const SEGMENT_BYTES = 40 * MiB;
/** The rest is a second one. */
const BYTES = 42 * MiB;
const SEGMENTS = 2;
/** Of the first one. */
const PARTS = 3;
const TOPIC = 'large';
const BUCKET = 'multipart';
const SOON = { timeout: 60_000, interval: 100 };

/** Nothing is old enough for the archive until the test says so. */
const configFor = (lake: EngineSettings): string => `
engines: { lake: ${JSON.stringify(lake)} }
topics:
  - { match: ${TOPIC}, archive: { to: lake, after: 1h, keepLocal: 0 }, segment: { bytes: ${SEGMENT_BYTES} } }
storage: { maintenanceIntervalMs: 100, manifestIntervalMs: 500, deleteGraceMs: 100 }
`;

describe.concurrent('An upload in parts that is interrupted', () => {
  test('by a MinIO that is killed in the middle of a part, and comes back: it goes on', async () => {
    await withArchive({ patienceMs: '5m' }, async (stage) => {
      await stage.archiveUntil('PART', 'half', PARTS);
      await stage.minio.kill();
      await stage.minio.start();
      await stage.isWhole();
      expect(stage.proxy.count()).toMatchObject({ 'MULTIPART-BEGIN': 1 });
    });
  }, 180_000);

  test('by a MinIO that is gone for longer than the node has patience: another takes its place', async () => {
    await withArchive({ patienceMs: 0 }, async (stage) => {
      await stage.archiveUntil('PART', 'half', PARTS);
      await stage.minio.kill();
      await vi.waitFor(async () => expect(await stage.status()).toMatchObject({ failed: { to: 'lake' } }), SOON);
      expect(await stage.parts()).not.toEqual([]);
      await stage.minio.start();
      await stage.isWhole();
      expect(stage.proxy.count()['MULTIPART-BEGIN']).toBeGreaterThan(1);
    });
  }, 180_000);

  test('by a reply to its end that is lost: it has ended', async () => {
    await withArchive({}, async (stage) => {
      const lost = stage.proxy.rule({ kind: 'MULTIPART-END', fault: { how: 'lose-reply' } });
      await stage.archiveUntil('MULTIPART-END', 'asked', 1);
      stage.goOn();
      await stage.isWhole();
      expect(lost()).toBe(1);
      expect(stage.proxy.count()).toMatchObject({ 'MULTIPART-BEGIN': 1, 'MULTIPART-END': 2 });
    });
  }, 180_000);

  test('by a kill -9 of the node in the middle of a part: the next life makes another', async () => {
    await withArchive({}, async (stage) => {
      await stage.archiveUntil('PART', 'half', PARTS);
      await stage.node.kill();
      expect(await stage.parts()).not.toEqual([]);
      await stage.start();
      await stage.isWhole();
      expect(stage.proxy.count()['MULTIPART-BEGIN']).toBeGreaterThan(1);
    });
  }, 180_000);
});

/** A node whose topic has two segments on the local disk, and a MinIO that they can be archived to. */
async function withArchive(own: EngineSettings, run: (stage: Stage) => Promise<void>): Promise<void> {
  await inFolder(async (cwd) => {
    const dir = join(cwd, 'minio');
    await mkdir(dir);
    const minio = await startMinio({ dir });
    const hold = new Hold();
    const proxy = await s3Proxy(minio, { pause: (what, moment) => hold.pause(what, moment) });
    const { accessKeyId, secretAccessKey } = minio;
    const lake = { use: 's3', bucket: BUCKET, endpoint: proxy.endpoint, accessKeyId, secretAccessKey };
    await writeFile(
      join(cwd, 'robust.yaml'),
      configFor({ ...lake, requestTimeoutMs: '1m', orphanGraceMs: '1s', ...own }),
    );
    const stage = new Stage(cwd, minio, proxy, hold);
    try {
      await minio.createBucket(BUCKET);
      await stage.start();
      await stage.fill();
      await run(stage);
    } finally {
      await stage.node.kill();
      await proxy.close();
      await minio.stop();
    }
  });
}

class Stage {
  node: ServerProcess;
  readonly minio: NativeS3Server;
  readonly proxy: S3Proxy;
  readonly #cwd: string;
  readonly #hold: Hold;
  readonly #records = new LargeRecords(TOPIC);

  constructor(cwd: string, minio: NativeS3Server, proxy: S3Proxy, hold: Hold) {
    this.#cwd = cwd;
    this.minio = minio;
    this.proxy = proxy;
    this.#hold = hold;
    this.node = this.#spawn();
  }

  async start(): Promise<void> {
    if (!this.node.running) this.node = this.#spawn();
    await this.node.ready();
  }

  async fill(): Promise<void> {
    await this.#records.write(this.node.ports.kafka, BYTES);
  }

  /** All of it becomes due. Returns when the so many-th request of that kind has come so far and waits there, and MinIO has a part. */
  async archiveUntil(kind: S3Kind, moment: S3Moment, nth: number): Promise<void> {
    const isHeld = this.#hold.at(kind, moment, nth);
    const altered = await command(['topic', 'alter', TOPIC, '--archive-after', '1ms', '--admin', this.#admin]);
    expect(altered).toMatchObject({ code: 0 });
    await vi.waitFor(() => expect(isHeld()).toBe(true), SOON);
    await vi.waitFor(async () => expect(await this.parts()).not.toEqual([]), SOON);
  }

  goOn(): void {
    this.#hold.goOn();
  }

  /** Those of uploads that nobody has ended. */
  parts(): Promise<string[]> {
    return strayUploads(join(this.#cwd, 'minio'));
  }

  /** What `archive status` says of the topic. */
  async status(): Promise<object | undefined> {
    const { out } = await command(['archive', 'status', TOPIC, '--json', '--admin', this.#admin]);
    return (JSON.parse(out) as { readonly shards: readonly object[] }).shards[0];
  }

  /** Everything is in the archive by itself, once, and nothing else is there or on the local disk. */
  async isWhole(): Promise<void> {
    await vi.waitFor(async () => {
      const segments = await this.#segments();
      for (const { instance, state } of segments) expect([instance, state]).toEqual(['lake', 'SEALED']);
      expect(segments).toHaveLength(SEGMENTS);
    }, SOON);
    expect(await this.status()).not.toHaveProperty('failed');
    const { admin, kafka } = this.node.ports;
    expect(await archiveAmounts(admin)).toMatchObject({ waiting: 0, copies: 0 });
    const local = join(this.#cwd, 'data/engines/local/segments');
    await vi.waitFor(async () => expect(await strayFiles(admin, local)).toEqual([]), SOON);
    expect(await readdir(local)).toEqual([]);
    await vi.waitFor(async () => expect(await this.parts()).toEqual([]), SOON);
    await this.#records.check(kafka);
    // each attempt has a name of its own
    expect(await objectsIn(this.minio)).toHaveLength(SEGMENTS);
    expect(await this.parts()).toEqual([]);
  }

  async #segments(): Promise<{ readonly instance: string; readonly state: string }[]> {
    const { out } = await command(['topic', 'describe', TOPIC, '--json', '--admin', this.#admin]);
    interface Described {
      readonly shards: readonly { readonly segments: readonly { instance: string; state: string }[] }[];
    }
    return (JSON.parse(out) as Described).shards.flatMap(({ segments }) => segments);
  }

  get #admin(): string {
    return `http://127.0.0.1:${this.node.ports.admin}`;
  }

  #spawn(): ServerProcess {
    const cwd = this.#cwd;
    return new ServerProcess({ data: join(cwd, 'data'), config: join(cwd, 'robust.yaml'), cwd });
  }
}

/** Those that segments lie in. */
async function objectsIn({ endpoint, region, accessKeyId, secretAccessKey }: NativeS3Server): Promise<string[]> {
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
  try {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET }));
    return Contents.flatMap(({ Key = '' }) => (Key.includes('/seg/') ? Key : []));
  } finally {
    client.destroy();
  }
}

/** Stops one request at the proxy. */
class Hold {
  #waited: { readonly kind: S3Kind; readonly moment: S3Moment; left: number } | undefined;
  #isHeld = false;
  goOn = (): void => {};

  /** @returns whether it has come there */
  at(kind: S3Kind, moment: S3Moment, nth: number): () => boolean {
    this.#waited = { kind, moment, left: nth };
    return () => this.#isHeld;
  }

  pause({ kind }: S3Request, moment: S3Moment): Promise<void> | undefined {
    const waited = this.#waited;
    if (waited === undefined || kind !== waited.kind || moment !== waited.moment || --waited.left > 0) return undefined;
    this.#waited = undefined;
    this.#isHeld = true;
    return new Promise((resolve) => {
      this.goOn = resolve;
    });
  }
}
