/** The engines that topics are moved between: who takes part is written here, and nowhere else. */
import { join } from 'node:path';
import { type HdfsServer, startHdfs } from '../real/hdfs-server.ts';
import { type S3Server, startMinio } from '../real/s3-server.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

export interface Member {
  /** Also the name of its instance. */
  readonly name: string;
  /** As the engine declares it. */
  readonly durability: 'none' | 'fsync' | 'pipeline' | 'object-store';
  /** Its instance in the configuration of a node that has `place` to itself. */
  settings(stores: Stores, place: string): Promise<Readonly<Record<string, unknown>>>;
}

export const FAMILY: readonly Member[] = [
  { name: 'memory', durability: 'none', settings: async () => ({ use: 'memory' }) },
  { name: 'local-file', durability: 'fsync', settings: async () => ({ use: 'local-file' }) },
  { name: 's3', durability: 'object-store', settings: (stores, place) => stores.bucket(place) },
  { name: 'hdfs', durability: 'pipeline', settings: (stores, place) => stores.folder(place) },
  { name: 'sqlite', durability: 'fsync', settings: async () => ({ use: join(EXAMPLES, 'robust-engine-sqlite') }) },
  { name: 'level', durability: 'fsync', settings: async () => ({ use: join(EXAMPLES, 'robust-engine-level') }) },
];

export interface Pair {
  readonly from: Member;
  readonly to: Member;
}

/** Every ordered pair. */
export function pairsOf(members: readonly Member[]): Pair[] {
  return members.flatMap((from) => members.filter((to) => to !== from).map((to) => ({ from, to })));
}

const RANK: Readonly<Record<Member['durability'], number>> = { none: 0, fsync: 1, pipeline: 1, 'object-store': 2 };

/** What is stored already follows a topic only to where it is as safe (docs/topics.md). */
export function dataFollows({ from, to }: Pair): boolean {
  return RANK[to.durability] >= RANK[from.durability];
}

/** The real stores, each started when it is first needed. */
export class Stores {
  #minio: Promise<S3Server> | undefined;
  #hdfs: Promise<HdfsServer> | undefined;

  async bucket(name: string): Promise<Readonly<Record<string, unknown>>> {
    this.#minio ??= startMinio();
    const minio = await this.#minio;
    await minio.createBucket(name);
    const { endpoint, region, accessKeyId, secretAccessKey } = minio;
    return { use: 's3', bucket: name, endpoint, region, accessKeyId, secretAccessKey, flushIntervalMs: 50 };
  }

  async folder(name: string): Promise<Readonly<Record<string, unknown>>> {
    this.#hdfs ??= startHdfs();
    const nameNodes = (await this.#hdfs).nameNodes.map(({ httpAddress }) => httpAddress);
    return { use: 'hdfs', nameNodes, path: `/${name}`, user: 'hdfs', flushIntervalMs: 50 };
  }

  async stop(): Promise<void> {
    for (const store of [this.#minio, this.#hdfs]) await (await store)?.stop();
  }
}
